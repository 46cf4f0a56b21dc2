/* A stand-in for NVIDIA's driver library, for tests on machines without a GPU.
 *
 * The functions have the signatures of the CUDA Driver API reference. Device memory is host memory under addresses that
 * the processor cannot follow, so that a program which mixes the two up dies. Work on a stream waits until somebody
 * synchronises, and is recorded while a stream captures. Every argument is checked, and what is wrong ends the process
 * with words: a ctypes prototype that loses half of a pointer, a handle of another kind, memory that is freed twice.
 *
 * It cannot prove that the real driver behaves alike, that anything is fast, or that concurrent use is right.
 *
 * Settings, read whenever they matter:
 *   FAKE_CUDA_GPUS=1  FAKE_CUDA_NAME=...  FAKE_CUDA_CC=8.6  FAKE_CUDA_DRIVER=13000  FAKE_CUDA_MEMORY=bytes
 *   FAKE_CUDA_FAIL=NAME:CODE[:NTH[+]],...  the NTH call of a function (default 1; with +, all from there on) returns CODE
 *   FAKE_CUDA_REPORT=FILE   when the context is released: how many objects of each kind were not given back, and calls
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef __cuda_cuda_h__ /* the real header, when a test compiles this file against it */
typedef int CUresult;
typedef int CUdevice;
typedef int CUdevice_attribute;
typedef int CUstreamCaptureMode;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphExec_st *CUgraphExec;
typedef struct { char bytes[16]; } CUuuid;
typedef void (*CUhostFn)(void *userData);
#endif

enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_DEVICE = 101, NO_DEVICE = 100,
    INVALID_CONTEXT = 201, NOT_READY = 600, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURE_UNMATCHED = 903
};
enum kind { CONTEXT, STREAM, EVENT, GRAPH, EXECUTABLE, DEVICE_MEMORY, PINNED_MEMORY, KINDS };
static const char *const kinds[KINDS] = {"context", "stream", "event", "graph", "executable", "device memory", "pinned memory"};

#define OFFSET 0x0001000000000000ull /* makes a device address one that no processor of today maps */

struct object;
struct op {
    enum { COPY, RECORD, CALL } what;
    void *to; const void *from; size_t size;
    struct object *event; CUhostFn function; void *data;
    struct op *next;
};
struct object {
    enum kind kind; char *memory; size_t size;
    struct op *first, **last;
    struct object *graph; int capturing, spoilt;         /* of a stream */
    struct object *stream; int recorded; double seconds; /* of an event */
    struct object *next;
};

static struct object *objects;
static int initialised, retained;
static struct object *primary, *current;
static size_t used;
static struct { char name[48]; unsigned long calls; } counts[64];

static void die(const char *function, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "fake libcuda: %s: ", function);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    fflush(stderr);
    abort();
}

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static unsigned long *counter(const char *name) {
    for (int i = 0; i < 64; i++) {
        if (!counts[i].name[0]) snprintf(counts[i].name, sizeof counts[i].name, "%s", name);
        if (!strcmp(counts[i].name, name)) return &counts[i].calls;
    }
    abort();
}

/* What the settings want this call to return. */
static int injected(const char *name) {
    unsigned long call = ++*counter(name);
    char *copy = strdup(setting("FAKE_CUDA_FAIL", "")), *rest = copy, *entry;
    int code = 0;
    while ((entry = strsep(&rest, ","))) {
        char *function = strsep(&entry, ":"), *value = strsep(&entry, ":"), *nth = entry;
        if (!value || strcmp(function, name)) continue;
        unsigned long which = nth ? strtoul(nth, NULL, 10) : 1;
        if (call == which || (nth && strchr(nth, '+') && call > which)) code = atoi(value);
    }
    free(copy);
    return code;
}

static struct object *new_object(enum kind kind, size_t size) {
    struct object *made = calloc(1, sizeof *made);
    made->kind = kind;
    made->size = size;
    made->last = &made->first;
    made->next = objects;
    return objects = made;
}

static int is(struct object *o, enum kind kind, const void *handle) {
    if (kind == DEVICE_MEMORY) return (char *)handle == o->memory + OFFSET;
    if (kind == PINNED_MEMORY) return handle == o->memory;
    return handle == o;
}

static struct object *find(const char *function, enum kind kind, const void *handle) {
    for (struct object *o = objects; o; o = o->next)
        if (o->kind == kind && is(o, kind, handle)) return o;
    die(function, "%p is no %s that is alive", handle, kinds[kind]);
    return NULL;
}

static void clear(struct object *o) {
    while (o->first) {
        struct op *op = o->first;
        o->first = op->next;
        free(op);
    }
    o->last = &o->first;
}

static void drop(const char *function, enum kind kind, const void *handle) {
    struct object *o = find(function, kind, handle), **link = &objects;
    if (!current) die(function, "the context is gone, and a %s is only now given back", kinds[kind]);
    while (*link != o) link = &(*link)->next;
    *link = o->next;
    clear(o);
    if (o->memory) {
        memset(o->memory, 0xEE, o->size);
        free(o->memory);
    }
    free(o);
}

/* The memory behind a range, which must lie inside of one live allocation. */
static char *inside(const char *function, enum kind kind, uint64_t address, size_t size) {
    uint64_t host = kind == DEVICE_MEMORY ? address - OFFSET : address;
    for (struct object *o = objects; o; o = o->next) {
        uint64_t start = (uint64_t)(uintptr_t)o->memory;
        if (o->kind == kind && host >= start && host + size <= start + o->size) return (char *)(uintptr_t)host;
    }
    die(function, "%zu bytes from 0x%llx are not in %s that is alive", size, (unsigned long long)address, kinds[kind]);
    return NULL;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void push(struct object *stream, struct op op) {
    struct object *queue = stream->capturing ? stream->graph : stream;
    struct op *kept = malloc(sizeof *kept);
    *kept = op;
    kept->next = NULL;
    *queue->last = kept;
    queue->last = &kept->next;
}

static void run(struct object *stream) {
    while (stream->first) {
        struct op *op = stream->first;
        stream->first = op->next;
        if (!stream->first) stream->last = &stream->first;
        if (op->what == COPY) memcpy(op->to, op->from, op->size);
        if (op->what == CALL) op->function(op->data);
        if (op->what == RECORD) {
            op->event->recorded = 1;
            op->event->seconds = now();
        }
        free(op);
    }
}

/* What is alive, and some calls, in a file; a test's process is killed as soon as it has answered, so not at its end. */
static void report(void) {
    const char *path = getenv("FAKE_CUDA_REPORT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    for (int kind = 0; kind < KINDS; kind++) {
        int live = 0;
        for (struct object *o = objects; o; o = o->next) live += (int)o->kind == kind;
        if (live) fprintf(file, "%d %s\n", live, kinds[kind]);
    }
    for (int i = 0; i < 64 && counts[i].name[0]; i++) fprintf(file, "%lu calls of %s\n", counts[i].calls, counts[i].name);
    fclose(file);
}

#define ENTER(name) do { int code_ = injected(name); if (code_) return code_; } while (0)
#define READY(name) do { ENTER(name); if (!initialised) return NOT_INITIALIZED; } while (0)
#define INSIDE(name) do { READY(name); if (!current) return INVALID_CONTEXT; } while (0)

CUresult cuInit(unsigned int Flags) {
    ENTER("cuInit");
    if (Flags) return INVALID_VALUE;
    if (!atoi(setting("FAKE_CUDA_GPUS", "1"))) return NO_DEVICE;
    initialised = 1;
    return SUCCESS;
}

CUresult cuDriverGetVersion(int *driverVersion) {
    ENTER("cuDriverGetVersion");
    *driverVersion = atoi(setting("FAKE_CUDA_DRIVER", "13000"));
    return SUCCESS;
}

static const char *error_name(int error) {
    switch (error) {
        case 1: return "CUDA_ERROR_INVALID_VALUE";
        case 2: return "CUDA_ERROR_OUT_OF_MEMORY";
        case 3: return "CUDA_ERROR_NOT_INITIALIZED";
        case 100: return "CUDA_ERROR_NO_DEVICE";
        case 201: return "CUDA_ERROR_INVALID_CONTEXT";
        case 214: return "CUDA_ERROR_ECC_UNCORRECTABLE";
        case 600: return "CUDA_ERROR_NOT_READY";
        case 700: return "CUDA_ERROR_ILLEGAL_ADDRESS";
        case 803: return "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH";
        case 900: return "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED";
        case 901: return "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED";
        case 999: return "CUDA_ERROR_UNKNOWN";
        default: return NULL;
    }
}

CUresult cuGetErrorName(CUresult error, const char **pStr) {
    *pStr = error_name(error);
    return *pStr ? SUCCESS : INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **pStr) {
    *pStr = error_name(error) ? "said by the fake driver" : NULL;
    return *pStr ? SUCCESS : INVALID_VALUE;
}

CUresult cuDeviceGetCount(int *count) {
    READY("cuDeviceGetCount");
    *count = atoi(setting("FAKE_CUDA_GPUS", "1"));
    return SUCCESS;
}

static int known(CUdevice dev) { return dev >= 0 && dev < atoi(setting("FAKE_CUDA_GPUS", "1")); }

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    READY("cuDeviceGet");
    if (!known(ordinal)) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev) {
    READY("cuDeviceGetName");
    if (!known(dev) || len < 1) return INVALID_VALUE;
    snprintf(name, (size_t)len, "%s", setting("FAKE_CUDA_NAME", "Fake GPU"));
    return SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev) {
    READY("cuDeviceGetUuid_v2");
    if (!known(dev)) return INVALID_VALUE;
    for (int i = 0; i < 16; i++) uuid->bytes[i] = (char)(16 * i + i);
    return SUCCESS;
}

CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev) {
    READY("cuDeviceGetAttribute");
    const char *capability = setting("FAKE_CUDA_CC", "8.6");
    if (!known(dev)) return INVALID_VALUE;
    switch ((int)attrib) {
        case 16: *pi = 26; return SUCCESS;
        case 18: *pi = atoi(setting("FAKE_CUDA_INTEGRATED", "0")); return SUCCESS;
        case 75: *pi = atoi(capability); return SUCCESS;
        case 76: *pi = atoi(strchr(capability, '.') + 1); return SUCCESS;
        default: die("cuDeviceGetAttribute", "attribute %d is none that the tests know", (int)attrib);
    }
    return INVALID_VALUE;
}

static size_t total(void) { return strtoull(setting("FAKE_CUDA_MEMORY", "8589934592"), NULL, 10); }

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev) {
    READY("cuDeviceTotalMem_v2");
    if (!known(dev)) return INVALID_VALUE;
    *bytes = total();
    return SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev) {
    READY("cuDevicePrimaryCtxRetain");
    if (!known(dev)) return INVALID_DEVICE;
    if (!retained++) primary = new_object(CONTEXT, 0);
    *pctx = (CUcontext)primary;
    return SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev) {
    READY("cuDevicePrimaryCtxRelease_v2");
    if (!known(dev)) return INVALID_DEVICE;
    if (!retained) die("cuDevicePrimaryCtxRelease_v2", "the context is released more often than it was retained");
    if (--retained) return SUCCESS;
    current = primary;
    drop("cuDevicePrimaryCtxRelease_v2", CONTEXT, primary);
    current = primary = NULL;
    report();
    return SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext ctx) {
    READY("cuCtxSetCurrent");
    current = ctx ? find("cuCtxSetCurrent", CONTEXT, ctx) : NULL;
    return SUCCESS;
}

CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    INSIDE("cuMemGetInfo_v2");
    *total_bytes = total();
    *free_bytes = total() - used;
    return SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize) {
    INSIDE("cuMemAlloc_v2");
    if (!bytesize) return INVALID_VALUE;
    if (bytesize > total() - used) return OUT_OF_MEMORY;
    struct object *o = new_object(DEVICE_MEMORY, bytesize);
    o->memory = aligned_alloc(256, (bytesize + 255) / 256 * 256);
    memset(o->memory, 0xCD, bytesize);
    used += bytesize;
    *dptr = (CUdeviceptr)(uintptr_t)o->memory + OFFSET;
    return SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr dptr) {
    ENTER("cuMemFree_v2");
    used -= find("cuMemFree_v2", DEVICE_MEMORY, (void *)(uintptr_t)dptr)->size;
    drop("cuMemFree_v2", DEVICE_MEMORY, (void *)(uintptr_t)dptr);
    return SUCCESS;
}

CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags) {
    INSIDE("cuMemHostAlloc");
    if (!bytesize || Flags & ~7u) return INVALID_VALUE;
    struct object *o = new_object(PINNED_MEMORY, bytesize);
    *pp = o->memory = aligned_alloc(4096, (bytesize + 4095) / 4096 * 4096);
    memset(o->memory, 0xCD, bytesize);
    return SUCCESS;
}

CUresult cuMemFreeHost(void *p) {
    ENTER("cuMemFreeHost");
    drop("cuMemFreeHost", PINNED_MEMORY, p);
    return SUCCESS;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream) {
    INSIDE("cuMemcpyHtoDAsync_v2");
    struct op op = {.what = COPY, .size = ByteCount};
    op.to = inside("cuMemcpyHtoDAsync_v2", DEVICE_MEMORY, dstDevice, ByteCount);
    op.from = inside("cuMemcpyHtoDAsync_v2", PINNED_MEMORY, (uint64_t)(uintptr_t)srcHost, ByteCount);
    push(find("cuMemcpyHtoDAsync_v2", STREAM, hStream), op);
    return SUCCESS;
}

CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream) {
    INSIDE("cuMemcpyDtoHAsync_v2");
    struct op op = {.what = COPY, .size = ByteCount};
    op.from = inside("cuMemcpyDtoHAsync_v2", DEVICE_MEMORY, srcDevice, ByteCount);
    op.to = inside("cuMemcpyDtoHAsync_v2", PINNED_MEMORY, (uint64_t)(uintptr_t)dstHost, ByteCount);
    push(find("cuMemcpyDtoHAsync_v2", STREAM, hStream), op);
    return SUCCESS;
}

CUresult cuStreamCreate(CUstream *phStream, unsigned int Flags) {
    INSIDE("cuStreamCreate");
    if (Flags > 1) return INVALID_VALUE;
    *phStream = (CUstream)new_object(STREAM, 0);
    return SUCCESS;
}

CUresult cuStreamSynchronize(CUstream hStream) {
    INSIDE("cuStreamSynchronize");
    struct object *stream = find("cuStreamSynchronize", STREAM, hStream);
    if (stream->capturing) {
        stream->spoilt = 1;
        return CAPTURE_UNSUPPORTED;
    }
    run(stream);
    return SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream hStream) {
    ENTER("cuStreamDestroy_v2");
    if (find("cuStreamDestroy_v2", STREAM, hStream)->capturing) die("cuStreamDestroy_v2", "the stream still captures");
    drop("cuStreamDestroy_v2", STREAM, hStream);
    return SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream hStream, CUstreamCaptureMode mode) {
    INSIDE("cuStreamBeginCapture_v2");
    struct object *stream = find("cuStreamBeginCapture_v2", STREAM, hStream);
    if ((int)mode < 0 || (int)mode > 2 || stream->capturing) return INVALID_VALUE;
    stream->capturing = 1;
    stream->spoilt = 0;
    stream->graph = new_object(GRAPH, 0);
    return SUCCESS;
}

CUresult cuStreamEndCapture(CUstream hStream, CUgraph *phGraph) {
    if (!current) return INVALID_CONTEXT;
    int code = injected("cuStreamEndCapture"); /* after a failure too, the stream captures no more */
    struct object *stream = find("cuStreamEndCapture", STREAM, hStream);
    if (!stream->capturing) return CAPTURE_UNMATCHED;
    stream->capturing = 0;
    *phGraph = (CUgraph)stream->graph;
    if (!stream->spoilt && !code) return SUCCESS;
    drop("cuStreamEndCapture", GRAPH, stream->graph);
    *phGraph = NULL;
    return code ? code : CAPTURE_INVALIDATED;
}

CUresult cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void *userData) {
    INSIDE("cuLaunchHostFunc");
    push(find("cuLaunchHostFunc", STREAM, hStream), (struct op){.what = CALL, .function = fn, .data = userData});
    return SUCCESS;
}

CUresult cuEventCreate(CUevent *phEvent, unsigned int Flags) {
    INSIDE("cuEventCreate");
    if (Flags & 2) die("cuEventCreate", "an event without timing cannot time");
    *phEvent = (CUevent)new_object(EVENT, 0);
    return SUCCESS;
}

CUresult cuEventRecord(CUevent hEvent, CUstream hStream) {
    INSIDE("cuEventRecord");
    struct object *event = find("cuEventRecord", EVENT, hEvent);
    event->recorded = 0;
    event->stream = find("cuEventRecord", STREAM, hStream);
    push(event->stream, (struct op){.what = RECORD, .event = event});
    return SUCCESS;
}

CUresult cuEventSynchronize(CUevent hEvent) {
    INSIDE("cuEventSynchronize");
    struct object *event = find("cuEventSynchronize", EVENT, hEvent);
    if (event->stream) run(event->stream);
    return SUCCESS;
}

CUresult cuEventElapsedTime(float *pMilliseconds, CUevent hStart, CUevent hEnd) {
    INSIDE("cuEventElapsedTime");
    struct object *start = find("cuEventElapsedTime", EVENT, hStart), *end = find("cuEventElapsedTime", EVENT, hEnd);
    if (!start->recorded || !end->recorded) return NOT_READY;
    *pMilliseconds = (float)(1e3 * (end->seconds - start->seconds));
    return SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent hEvent) {
    ENTER("cuEventDestroy_v2");
    drop("cuEventDestroy_v2", EVENT, hEvent);
    return SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *phGraphExec, CUgraph hGraph, unsigned long long flags) {
    INSIDE("cuGraphInstantiateWithFlags");
    struct object *graph = find("cuGraphInstantiateWithFlags", GRAPH, hGraph);
    if (flags) die("cuGraphInstantiateWithFlags", "flags 0x%llx where none were wanted", flags);
    struct object *made = new_object(EXECUTABLE, 0);
    for (struct op *op = graph->first; op; op = op->next) {
        struct op *copy = malloc(sizeof *copy);
        *copy = *op;
        copy->next = NULL;
        *made->last = copy;
        made->last = &copy->next;
    }
    *phGraphExec = (CUgraphExec)made;
    return SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec hGraphExec, CUstream hStream) {
    INSIDE("cuGraphLaunch");
    struct object *stream = find("cuGraphLaunch", STREAM, hStream);
    for (struct op *op = find("cuGraphLaunch", EXECUTABLE, hGraphExec)->first; op; op = op->next) push(stream, *op);
    return SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec hGraphExec) {
    ENTER("cuGraphExecDestroy");
    drop("cuGraphExecDestroy", EXECUTABLE, hGraphExec);
    return SUCCESS;
}

CUresult cuGraphDestroy(CUgraph hGraph) {
    ENTER("cuGraphDestroy");
    drop("cuGraphDestroy", GRAPH, hGraph);
    return SUCCESS;
}

/* Not of CUDA: for tests and for the fake TensorRT, whose kernels are Python functions. */

void *fake_cuda_host(CUdeviceptr dptr, size_t size) { return inside("a kernel", DEVICE_MEMORY, dptr, size); }

unsigned long fake_cuda_calls(const char *function) { return *counter(function); }

void fake_cuda_forget_calls(void) { memset(counts, 0, sizeof counts); }

int fake_cuda_capturing(CUstream hStream) { return find("a kernel", STREAM, hStream)->capturing; }

int fake_cuda_live(void) {
    int live = 0;
    for (struct object *o = objects; o; o = o->next) live++;
    return live;
}
