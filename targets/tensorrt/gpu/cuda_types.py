"""The part of the CUDA driver API that we call: symbols as ``libcuda.so.1`` exports them, with their C types.

From the CUDA Driver API reference (docs.nvidia.com/cuda/cuda-driver-api), sections Initialization, Version Management,
Device Management, Primary Context Management, Context Management, Memory Management, Stream Management, Event
Management, Graph Management, Error Handling. Where a function was revised, the symbol carries the revision
(``cuMemAlloc_v2``); a driver keeps exporting every revision that it ever had. Travels to the device.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

LIBRARY = "libcuda.so.1"

c_int, c_uint, c_size_t, c_float, c_char_p = (
    ctypes.c_int, ctypes.c_uint, ctypes.c_size_t, ctypes.c_float, ctypes.c_char_p,
)  # fmt: skip
Out = ctypes.POINTER
#: ``CUcontext``, ``CUstream``, ``CUevent``, ``CUgraph``, ``CUgraphExec``: pointers to structures that we never see.
Handle = ctypes.c_void_p
HostPointer = ctypes.c_void_p
#: ``CUdevice`` is an ordinal-like integer, ``CUdeviceptr`` an unsigned integer of 64 bits on 64-bit systems.
Device = ctypes.c_int
DevicePointer = ctypes.c_uint64


class Uuid(ctypes.Structure):
    """``CUuuid``: sixteen bytes."""

    _fields_ = (("bytes", ctypes.c_ubyte * 16),)


#: ``CUdevice_attribute``.
ATTRIBUTE_MULTIPROCESSORS = 16
ATTRIBUTE_INTEGRATED = 18
ATTRIBUTE_CAPABILITY_MAJOR = 75
ATTRIBUTE_CAPABILITY_MINOR = 76
#: ``CU_STREAM_NON_BLOCKING``: no implicit waiting for the default stream.
STREAM_NON_BLOCKING = 1
#: ``CU_STREAM_CAPTURE_MODE_THREAD_LOCAL``: other threads may go on calling CUDA while this one captures.
CAPTURE_THREAD_LOCAL = 1

#: Argument types by symbol; each returns a ``CUresult``.
PROTOTYPES: Mapping[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (Out(c_int),),
    "cuGetErrorName": (c_int, Out(c_char_p)),
    "cuGetErrorString": (c_int, Out(c_char_p)),
    "cuDeviceGetCount": (Out(c_int),),
    "cuDeviceGet": (Out(Device), c_int),
    "cuDeviceGetName": (c_char_p, c_int, Device),
    "cuDeviceGetUuid_v2": (Out(Uuid), Device),
    "cuDeviceGetAttribute": (Out(c_int), c_int, Device),
    "cuDeviceTotalMem_v2": (Out(c_size_t), Device),
    "cuDevicePrimaryCtxRetain": (Out(Handle), Device),
    "cuDevicePrimaryCtxRelease_v2": (Device,),
    "cuCtxSetCurrent": (Handle,),
    "cuMemGetInfo_v2": (Out(c_size_t), Out(c_size_t)),
    "cuMemAlloc_v2": (Out(DevicePointer), c_size_t),
    "cuMemFree_v2": (DevicePointer,),
    "cuMemHostAlloc": (Out(HostPointer), c_size_t, c_uint),
    "cuMemFreeHost": (HostPointer,),
    "cuMemcpyHtoDAsync_v2": (DevicePointer, HostPointer, c_size_t, Handle),
    "cuMemcpyDtoHAsync_v2": (HostPointer, DevicePointer, c_size_t, Handle),
    "cuStreamCreate": (Out(Handle), c_uint),
    "cuStreamSynchronize": (Handle,),
    "cuStreamDestroy_v2": (Handle,),
    "cuStreamBeginCapture_v2": (Handle, c_int),
    "cuStreamEndCapture": (Handle, Out(Handle)),
    "cuEventCreate": (Out(Handle), c_uint),
    "cuEventRecord": (Handle, Handle),
    "cuEventSynchronize": (Handle,),
    "cuEventElapsedTime": (Out(c_float), Handle, Handle),
    "cuEventDestroy_v2": (Handle,),
    "cuGraphInstantiateWithFlags": (Out(Handle), Handle, ctypes.c_ulonglong),
    "cuGraphLaunch": (Handle, Handle),
    "cuGraphExecDestroy": (Handle,),
    "cuGraphDestroy": (Handle,),
}
