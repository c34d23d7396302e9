// SPDX-License-Identifier: MIT OR Apache-2.0
//! HIP's functions, as far as MIOpen calls them.
//!
//! The list is the imports of libMIOpen 6.4.3; the layout of the device's
//! properties and the numbers of the enumerations are those of HIP 6.4
//! (hip_runtime_api.h), checked against what libMIOpen makes of them.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::device::Device;
use crate::kernels;
use crate::memory;
use crate::trace::{api, not_simulated, put, say};

const SUCCESS: i32 = 0;
const INVALID_VALUE: i32 = 1;
const OUT_OF_MEMORY: i32 = 2;
const INVALID_DEVICE: i32 = 101;
const NOT_FOUND: i32 = 500;
const NOT_SUPPORTED: i32 = 801;

/// hipDeviceAttributeMultiprocessorCount.
const MULTIPROCESSOR_COUNT: c_int = 63;
/// hipMemcpyDeviceToHost.
const DEVICE_TO_HOST: c_int = 2;
/// What every kernel takes, in milliseconds: so long that MIOpen, which runs a
/// quick candidate eight times over, runs each once. It is the same answer, and
/// where a solver goes image by image most of the time of a find step.
const KERNEL_TIME: f32 = 1000.0;

/// `hipDeviceProp_tR0600`, of which only the fields below are filled.
const PROPERTIES_SIZE: usize = 1472;

fn stored(done: bool) -> i32 {
    if done { SUCCESS } else { INVALID_VALUE }
}

/// A handle that is never looked into: streams, events, modules.
fn handle() -> *mut c_void {
    // Distinct, not null, and in no page that could be mapped.
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
    std::ptr::without_provenance_mut(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * 16)
}

fn device(number: c_int) -> Option<&'static Device> {
    Device::get().filter(|_| number == 0)
}

/// The properties of the device, as bytes at the offsets of the C structure.
fn properties(device: &Device) -> [u8; PROPERTIES_SIZE] {
    let mut bytes = [0; PROPERTIES_SIZE];
    let mut at = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    let (major, minor) = device.version();
    at(0, b"simulated");
    at(288, &device.vram.to_ne_bytes()); // totalGlobalMem
    at(296, &65536_usize.to_ne_bytes()); // sharedMemPerBlock
    at(308, &32_i32.to_ne_bytes()); // warpSize
    at(320, &1024_i32.to_ne_bytes()); // maxThreadsPerBlock
    at(360, &major.to_ne_bytes());
    at(364, &minor.to_ne_bytes());
    at(388, &device.units.to_ne_bytes()); // multiProcessorCount
    // gcnArchName, 256 bytes with the end mark.
    at(1160, &device.gfx.as_bytes()[..device.gfx.len().min(255)]);
    at(1416, &65536_usize.to_ne_bytes()); // maxSharedMemoryPerMultiProcessor
    bytes
}

api! {
    fn hipInit(_flags: c_uint) { if Device::get().is_some() { SUCCESS } else { INVALID_DEVICE } }
    fn hipGetDeviceCount(count: *mut c_int) { stored(put(count, c_int::from(Device::get().is_some()))) }
    fn hipGetDevice(number: *mut c_int) { stored(put(number, 0)) }
    fn hipSetDevice(number: c_int) { if device(number).is_some() { SUCCESS } else { INVALID_DEVICE } }
    fn hipDeviceSynchronize() { SUCCESS }
    fn hipRuntimeGetVersion(version: *mut c_int) { stored(put(version, 60_443_484)) }
    fn hipGetLastError() { SUCCESS }
    fn hipPeekAtLastError() { SUCCESS }

    fn hipGetDevicePropertiesR0600(all: *mut [u8; PROPERTIES_SIZE], number: c_int) {
        device(number).map_or(INVALID_DEVICE, |device| stored(put(all, properties(device))))
    }
    fn hipDeviceGetAttribute(value: *mut c_int, attribute: c_int, number: c_int) {
        match (attribute, device(number)) {
            (_, None) => INVALID_DEVICE,
            (MULTIPROCESSOR_COUNT, Some(device)) => stored(put(value, device.units)),
            _ => {
                say(&format!("hipDeviceGetAttribute({attribute}) was called and is not simulated"));
                NOT_SUPPORTED
            }
        }
    }
    fn hipDeviceTotalMem(bytes: *mut usize, number: c_int) {
        device(number).map_or(INVALID_DEVICE, |device| stored(put(bytes, device.vram)))
    }
    fn hipMemGetInfo(free: *mut usize, total: *mut usize) {
        Device::get().map_or(INVALID_DEVICE, |device| {
            stored(put(free, device.vram.saturating_sub(memory::used())) && put(total, device.vram))
        })
    }

    fn hipMalloc(pointer: *mut usize, size: usize) {
        memory::allocate(size).map_or(OUT_OF_MEMORY, |address| stored(put(pointer, address)))
    }
    fn hipFree(pointer: usize) {
        if pointer == 0 || memory::release(pointer) { SUCCESS } else { INVALID_VALUE }
    }
    fn hipMemPtrGetInfo(pointer: usize, size: *mut usize) {
        memory::size_of(pointer).map_or(INVALID_VALUE, |bytes| stored(put(size, bytes)))
    }
    fn hipMemcpy(to: *mut u8, from: usize, size: usize, kind: c_int) { copy(to, from, size, kind) }
    fn hipMemcpyAsync(to: *mut u8, from: usize, size: usize, kind: c_int, _stream: usize) { copy(to, from, size, kind) }
    fn hipMemcpyWithStream(to: *mut u8, from: usize, size: usize, kind: c_int, _stream: usize) {
        copy(to, from, size, kind)
    }
    fn hipMemset(to: usize, _value: c_int, _size: usize) { stored(memory::is_device(to)) }
    fn hipMemsetAsync(to: usize, _value: c_int, _size: usize, _stream: usize) { stored(memory::is_device(to)) }

    fn hipStreamCreate(stream: *mut *mut c_void) { stored(put(stream, handle())) }
    fn hipStreamCreateWithFlags(stream: *mut *mut c_void, _flags: c_uint) { stored(put(stream, handle())) }
    fn hipStreamDestroy(_stream: usize) { SUCCESS }
    fn hipStreamQuery(_stream: usize) { SUCCESS }
    fn hipStreamSynchronize(_stream: usize) { SUCCESS }
    fn hipStreamWaitEvent(_stream: usize, _event: usize, _flags: c_uint) { SUCCESS }

    fn hipEventCreate(event: *mut *mut c_void) { stored(put(event, handle())) }
    fn hipEventCreateWithFlags(event: *mut *mut c_void, _flags: c_uint) { stored(put(event, handle())) }
    fn hipEventDestroy(_event: usize) { SUCCESS }
    fn hipEventRecord(_event: usize, _stream: usize) { SUCCESS }
    fn hipEventSynchronize(_event: usize) { SUCCESS }
    fn hipEventElapsedTime(milliseconds: *mut f32, _start: usize, _stop: usize) { stored(put(milliseconds, KERNEL_TIME)) }

    fn hipModuleLoad(module: *mut *mut c_void, file: Text) {
        // MIOpen has written the file just before; that it is there shows that
        // our compiler was asked, and not some other.
        if file.path().is_some_and(|path| path.exists()) { stored(put(module, handle())) } else { NOT_FOUND }
    }
    fn hipModuleLoadData(module: *mut *mut c_void, _image: usize) { stored(put(module, handle())) }
    fn hipModuleUnload(_module: usize) { SUCCESS }
    fn hipModuleGetFunction(function: *mut *mut c_void, _module: usize, name: Text) {
        let handle = handle();
        kernels::named(handle.addr(), &name.get().unwrap_or_default().to_string_lossy());
        stored(put(function, handle))
    }
    fn hipExtModuleLaunchKernel(
        function: usize, _x: c_uint, _y: c_uint, _z: c_uint, _local_x: c_uint, _local_y: c_uint, _local_z: c_uint,
        _shared: usize, _stream: usize, _arguments: usize, _extra: usize, _start: usize, _stop: usize, _flags: c_uint,
    ) { launch(function) }
    fn hipModuleLaunchKernel(
        function: usize, _x: c_uint, _y: c_uint, _z: c_uint, _local_x: c_uint, _local_y: c_uint, _local_z: c_uint,
        _shared: c_uint, _stream: usize, _arguments: usize, _extra: usize,
    ) { launch(function) }
    fn hipModuleLaunchCooperativeKernel(
        function: usize, _x: c_uint, _y: c_uint, _z: c_uint, _local_x: c_uint, _local_y: c_uint, _local_z: c_uint,
        _shared: c_uint, _stream: usize, _arguments: usize,
    ) { launch(function) }
}

not_simulated! { NOT_SUPPORTED,
    hipHostMalloc hipHostFree hipModuleGetGlobal hipPointerGetAttributes hipLaunchKernel
    hipModuleOccupancyMaxActiveBlocksPerMultiprocessor hipMemcpy2D hipMemcpy2DAsync
    __hipPushCallConfiguration __hipPopCallConfiguration __hipRegisterFatBinary
    __hipRegisterFunction __hipUnregisterFatBinary hipStreamIsCapturing
    hipDeviceGetDefaultMemPool hipMallocAsync hipFreeAsync hipMemPoolTrimTo
}

/// A C string argument, shown as text in a trace.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Text(*const c_char);

impl Text {
    fn get(&self) -> Option<&CStr> {
        // SAFETY: HIP asks for a string that ends in a zero byte and outlives
        // the call; null is looked for first.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }

    fn path(&self) -> Option<&std::path::Path> {
        use std::os::unix::ffi::OsStrExt;
        Some(std::path::Path::new(std::ffi::OsStr::from_bytes(self.get()?.to_bytes())))
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.get(), f)
    }
}

/// A kernel is over at once.
fn launch(function: usize) -> i32 {
    kernels::launched(function);
    SUCCESS
}

/// Copies where there is something to copy: from the device come zeros, to the
/// device goes nothing.
fn copy(to: *mut u8, from: usize, size: usize, kind: c_int) -> i32 {
    if kind == DEVICE_TO_HOST {
        if to.is_null() || !memory::is_device(from) {
            return INVALID_VALUE;
        }
        // SAFETY: hipMemcpy asks for `size` writable bytes at the destination.
        unsafe { to.write_bytes(0, size) };
    }
    SUCCESS
}

fn error_text(status: c_int) -> &'static CStr {
    match status {
        SUCCESS => c"hipSuccess",
        INVALID_VALUE => c"hipErrorInvalidValue",
        OUT_OF_MEMORY => c"hipErrorOutOfMemory",
        INVALID_DEVICE => c"hipErrorInvalidDevice",
        NOT_FOUND => c"hipErrorNotFound",
        NOT_SUPPORTED => c"hipErrorNotSupported (the simulated HIP runtime does not have this call)",
        _ => c"unknown HIP error",
    }
}

// SAFETY: as in `api!`; the text is static.
#[unsafe(no_mangle)]
extern "C" fn hipGetErrorString(status: c_int) -> *const c_char {
    error_text(status).as_ptr()
}

// SAFETY: as in `api!`; the text is static.
#[unsafe(no_mangle)]
extern "C" fn hipGetErrorName(status: c_int) -> *const c_char {
    error_text(status).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_name_the_chip() {
        let device = Device { gfx: "gfx1030".into(), units: 18, vram: 6 << 30 };
        let bytes = properties(&device);
        assert_eq!(&bytes[1160..1168], b"gfx1030\0");
        assert_eq!(bytes[360], 10);
        assert_eq!(bytes[364], 3);
        assert_eq!(bytes[388], 18);
    }

    #[test]
    fn every_exported_name_is_defined() {
        let map = include_str!("../exports.map");
        let sources = [
            include_str!("hip.rs"),
            include_str!("kernels.rs"),
            include_str!("rocblas.rs"),
            include_str!("compiler.rs"),
            include_str!("random.rs"),
        ]
        .concat();
        let words: Vec<&str> = sources.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let names = map.lines().filter(|line| line.contains(';') && !line.contains('*')).flat_map(|line| {
            let line = line.trim().trim_start_matches("global:");
            line.split(';').map(str::trim).filter(|name| !name.is_empty() && !name.starts_with('}'))
        });
        let missing: Vec<&str> = names.filter(|name| !words.contains(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
