/* Instructions of many kinds, for the test that compares the plugin's decoder with a disassembler. Never executed. */
void every(void);
void every(void) {
    __asm volatile(
        ".balign 4\n ldr r0, [r1]\n ldrb r0, [r1]\n ldrsh r0, [r1, r2]\n ldrh r0, [r1, #2]\n ldr.w r0, [r1, r2, lsl #2]\n ldrsb.w r0, [r1, #77]\n"
        "ldr r0, [r1], #4\n ldrh r0, [r1, #-2]!\n ldr r0, [sp, #8]\n str r0, [sp, #8]\n str r0, [r1, r2]\n strb r0, [r1], #1\n"
        "strh.w r0, [r1, #222]\n ldrex r0, [r1]\n strex r0, r1, [r2]\n ldrexb r0, [r1]\n ldr r0, [pc, #8]\n"
        "push {r0-r3, lr}\n pop {r4-r7, pc}\n push {r4-r11, lr}\n pop {r4, r9, pc}\n ldmia r0!, {r1, r2, r3}\n stmia r0!, {r4-r7}\n"
        "ldmdb r0, {r1, r8}\n stmdb r0!, {r1, r8-r12}\n ldrd r0, r1, [r2, #8]\n strd r0, r1, [r2], #8\n"
        "muls r0, r1, r0\n mla r0, r1, r2, r3\n mls r0, r1, r2, r3\n smull r0, r1, r2, r3\n umull r0, r1, r2, r3\n"
        "smlal r0, r1, r2, r3\n umlal r0, r1, r2, r3\n sdiv r0, r1, r2\n udiv r0, r1, r2\n"
        "1: b 1b\n beq 1b\n b.w 1b\n bne.w 1b\n bl 1b\n bx lr\n blx r3\n cbz r0, 2f\n cbnz r1, 2f\n 2: tbb [pc, r0]\n tbh [pc, r0, lsl #1]\n"
        "mov r0, r1\n adds r0, #1\n add.w r0, r1, r2, lsl #3\n movw r0, #1234\n movt r0, #77\n ubfx r0, r1, #2, #3\n sxtb r0, r1\n"
        "clz r0, r1\n rev r0, r1\n ssat r0, #8, r1\n mrs r0, ipsr\n msr basepri, r0\n dsb\n isb\n nop\n wfi\n nop.w\n it eq\n moveq r0, r1\n"
        "bkpt 0xab\n svc 3\n udf #1\n cpsid i\n sub sp, #8\n add r0, sp, #16\n adr r0, 1b\n tst r0, r1\n lsl.w r0, r1, r2\n rbit r0, r1\n"
#ifdef __ARM_FEATURE_DSP
        "smlad r0, r1, r2, r3\n smuad r0, r1, r2\n smlabb r0, r1, r2, r3\n smulwb r0, r1, r2\n smmla r0, r1, r2, r3\n smlald r0, r1, r2, r3\n"
        "smlaltt r0, r1, r2, r3\n umaal r0, r1, r2, r3\n sxtb16 r0, r1, ror #8\n sadd8 r0, r1, r2\n uqsub8 r0, r1, r2\n pkhbt r0, r1, r2\n"
        "sxtab16 r0, r1, r2\n sel r0, r1, r2\n usad8 r0, r1, r2\n qadd r0, r1, r2\n"
#endif
#ifdef __ARM_FP
        "vldr s0, [r0]\n vstr s1, [r0, #4]\n vadd.f32 s0, s1, s2\n vmul.f32 s0, s1, s2\n vfma.f32 s0, s1, s2\n vdiv.f32 s0, s1, s2\n"
        "vsqrt.f32 s0, s1\n vcvt.s32.f32 s0, s1\n vmov r0, s1\n vmov s1, r0\n vpush {s16-s19}\n vpop {d8-d9}\n vldmia r0!, {s0-s3}\n"
        "vstmdb r0!, {d0-d1}\n vcmp.f32 s0, s1\n vmrs APSR_nzcv, fpscr\n vneg.f32 s0, s1\n vmov d0, r0, r1\n vmov.f32 s0, #1.0\n"
#endif
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
        "vldrb.u8 q0, [r0]\n vldrh.s16 q0, [r0], #16\n vldrw.u32 q1, [r0, #16]!\n vldrb.s16 q0, [r0]\n vldrb.u8 q0, [r0, q1]\n"
        "vldrw.u32 q0, [q1, #4]\n vstrb.8 q0, [r0], #16\n vstrw.32 q0, [r0, q1, uxtw #2]\n vstrb.16 q0, [r0]\n"
        "vld20.8 {q0, q1}, [r0]\n vld40.32 {q0, q1, q2, q3}, [r0]\n vst21.16 {q0, q1}, [r0]!\n"
        "vmladava.s8 r0, q0, q1\n vmladav.s16 r0, q0, q1\n vmlaldava.s16 r0, r1, q0, q1\n vrmlaldavha.s32 r0, r1, q0, q1\n vaddva.s8 r0, q0\n"
        "vmul.i32 q0, q1, q2\n vmla.s8 q0, q1, r2\n vmullb.s8 q0, q1, q2\n vqrdmulh.s32 q0, q1, q2\n vqdmulh.s32 q0, q1, r2\n"
        "vadd.i8 q0, q1, q2\n vadd.i32 q0, q1, r0\n vsub.i16 q0, q1, q2\n vmax.s8 q0, q1, q2\n vminv.s8 r0, q1\n vdup.32 q0, r1\n vdup.8 q0, r1\n"
        "vmov.32 q0[1], r0\n vmov.s8 r0, q0[3]\n vmov q0[2], q0[0], r0, r1\n vmov.i32 q0, #1\n vmvn q0, q1\n vrshl.s32 q0, q1, q2\n"
        "vshl.s32 q0, q1\n vrshl.s32 q0, r0\n vshr.s32 q0, q1, #3\n vqmovnb.s16 q0, q1\n vqmovnb.s32 q0, q1\n vmovlb.s8 q0, q1\n vrev32.8 q0, q1\n"
        "vcmp.s32 ge, q0, q1\n vpst\n vaddt.i32 q0, q1, q2\n vpt.s8 gt, q0, r1\n vmovt q0, q1\n vpnot\n vpsel q0, q1, q2\n vctp.8 r0\n vctp.32 r1\n"
        "vidup.u32 q0, r0, #4\n vand q0, q1, q2\n veor q0, q1, q2\n vabs.s8 q0, q1\n vadd.f32 q0, q1, q2\n vcvt.s32.f32 q0, q1\n vfma.f32 q0, q1, q2\n"
        "wls lr, r0, 3f\n dls lr, r0\n wlstp.8 lr, r0, 3f\n dlstp.32 lr, r0\n le lr, 1b\n letp lr, 1b\n 3: lsll r0, r1, #3\n asrl r0, r1, r2\n"
        "csel r0, r1, r2, eq\n cset r0, ne\n sqrshrl r0, r1, #64, r2\n"
#endif
        ::: "memory");
}
