/* The model's constants; the assembler finds the file in its include folders. */
    .section .rodata
    .balign 64
    .globl ew_constants
    .hidden ew_constants
ew_constants:
    .incbin "constants.bin"
    .byte 0

    .section .note.GNU-stack, "", %progbits
