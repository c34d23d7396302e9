// SPDX-License-Identifier: MIT OR Apache-2.0
//! The few functions of MIOpen's C interface that are asked, found by name.
//!
//! Types and numbers are those of miopen.h, which has kept them from ROCm 5 to
//! ROCm 7.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;

/// A pointer to one of MIOpen's opaque objects.
pub type Object = *mut c_void;

/// `miopenConvSolution_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Solution {
    pub time: f32,
    pub workspace: usize,
    pub id: u64,
    pub algorithm: c_int,
}

/// `miopenConvAlgoPerf_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    pub algorithm: c_int,
    pub time: f32,
    pub workspace: usize,
}

/// The three descriptors of a call, in the order that its direction wants, with
/// the convolution's in the third or fourth place.
type Count = unsafe extern "C" fn(Object, Object, Object, Object, Object, *mut usize) -> c_int;
type Get = unsafe extern "C" fn(Object, Object, Object, Object, Object, usize, *mut usize, *mut Solution) -> c_int;
type Find = unsafe extern "C" fn(
    Object,
    Object,
    *const c_void,
    Object,
    *const c_void,
    Object,
    Object,
    *mut c_void,
    c_int,
    *mut c_int,
    *mut Found,
    *mut c_void,
    usize,
    bool,
) -> c_int;

/// What MIOpen offers for one direction.
#[derive(Debug, Clone, Copy)]
pub struct Direction {
    pub count: Count,
    pub get: Get,
    pub workspace: Count,
    pub find: Find,
}

/// The loaded library.
#[derive(Debug)]
pub struct Library {
    pub create: unsafe extern "C" fn(*mut Object) -> c_int,
    pub version: unsafe extern "C" fn(*mut usize, *mut usize, *mut usize) -> c_int,
    pub error_string: unsafe extern "C" fn(c_int) -> *const c_char,
    pub create_tensor: unsafe extern "C" fn(*mut Object) -> c_int,
    pub set_tensor: unsafe extern "C" fn(Object, c_int, c_int, *const c_int, *const c_int) -> c_int,
    pub destroy_tensor: unsafe extern "C" fn(Object) -> c_int,
    pub create_convolution: unsafe extern "C" fn(*mut Object) -> c_int,
    pub init_convolution: unsafe extern "C" fn(Object, c_int, *const c_int, *const c_int, *const c_int, c_int) -> c_int,
    pub set_groups: unsafe extern "C" fn(Object, c_int) -> c_int,
    pub destroy_convolution: unsafe extern "C" fn(Object) -> c_int,
    /// Since ROCm 4; asked only where a request names a mode.
    pub set_find_mode: Option<unsafe extern "C" fn(Object, c_int) -> c_int>,
    pub directions: [Direction; 3],
    /// `hipMalloc` and `hipFree` of the runtime that MIOpen itself uses.
    pub malloc: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int,
    pub free: unsafe extern "C" fn(*mut c_void) -> c_int,
    /// Which kernels the simulated runtime was told to launch, since it was last asked.
    kernels: unsafe extern "C" fn() -> *const c_char,
    names: Option<Names>,
}

/// How a solver's number becomes its name: there is no public function, but
/// the class behind it is exported. `miopen::solver::Id::Id(size_t)` and
/// `miopen::solver::Id::ToString() const`.
#[derive(Debug, Clone, Copy)]
struct Names {
    construct: unsafe extern "C" fn(*mut [u64; 4], usize),
    to_string: unsafe extern "C" fn(*mut CxxString, *const [u64; 4]) -> *mut CxxString,
}

/// libstdc++'s `std::string` since GCC 5.
#[repr(C)]
struct CxxString {
    data: *const u8,
    length: usize,
    buffer: [u8; 16],
}

#[link(name = "dl")]
unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

const RTLD_NOW: c_int = 2;
const RTLD_GLOBAL: c_int = 0x100;

/// The library behind a `dlopen` handle.
struct Symbols(*mut c_void);

impl Symbols {
    fn find(&self, name: &str) -> Option<*mut c_void> {
        let name = CString::new(name).ok()?;
        // SAFETY: a live handle and a string that ends in a zero byte.
        let address = unsafe { dlsym(self.0, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    }

    /// # Safety
    /// `F` must be the type of the function of that name.
    unsafe fn get<F: Copy>(&self, name: &str) -> Result<F, String> {
        let address = self.find(name).ok_or_else(|| format!("it has no function {name}"))?;
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: same size by the assertion, and the caller vouches for the type.
        Ok(unsafe { std::mem::transmute_copy(&address) })
    }

    /// # Safety
    /// The library is MIOpen.
    unsafe fn direction(&self, name: &str) -> Result<Direction, String> {
        // SAFETY: types as in miopen.h; the parameters of the three directions
        // differ in their meaning, not in their types.
        unsafe {
            Ok(Direction {
                count: self.get(&format!("miopenConvolution{name}GetSolutionCount"))?,
                get: self.get(&format!("miopenConvolution{name}GetSolution"))?,
                workspace: self.get(&format!("miopenConvolution{name}GetWorkSpaceSize"))?,
                find: self.get(&format!("miopenFindConvolution{name}Algorithm"))?,
            })
        }
    }
}

fn last_error() -> String {
    // SAFETY: dlerror returns null or a string that lives until the next call.
    let text = unsafe { dlerror().as_ref().map(|first| CStr::from_ptr(first)) };
    text.map_or_else(|| "unknown reason".into(), |text| text.to_string_lossy().into_owned())
}

impl Library {
    /// Loads it with all that it needs, and finds the functions.
    pub fn load(path: &OsStr) -> Result<Self, String> {
        let c_path = CString::new(path.as_bytes()).map_err(|e| e.to_string())?;
        // SAFETY: a path; the library's initialisers are trusted as MIOpen's
        // users trust them, and this process exists to suffer them.
        let handle = unsafe { dlopen(c_path.as_ptr(), RTLD_NOW | RTLD_GLOBAL) };
        if handle.is_null() {
            return Err(format!("it cannot be loaded: {}", last_error()));
        }
        let symbols = Symbols(handle);
        // SAFETY: the types are those of miopen.h and of the Itanium C++ ABI.
        unsafe {
            let names = || -> Result<Names, String> {
                Ok(Names {
                    construct: symbols.get("_ZN6miopen6solver2IdC1Em")?,
                    to_string: symbols.get("_ZNK6miopen6solver2Id8ToStringB5cxx11Ev")?,
                })
            };
            Ok(Self {
                create: symbols.get("miopenCreate")?,
                version: symbols.get("miopenGetVersion")?,
                error_string: symbols.get("miopenGetErrorString")?,
                create_tensor: symbols.get("miopenCreateTensorDescriptor")?,
                set_tensor: symbols.get("miopenSetTensorDescriptor")?,
                destroy_tensor: symbols.get("miopenDestroyTensorDescriptor")?,
                create_convolution: symbols.get("miopenCreateConvolutionDescriptor")?,
                init_convolution: symbols.get("miopenInitConvolutionNdDescriptor")?,
                set_groups: symbols.get("miopenSetConvolutionGroupCount")?,
                destroy_convolution: symbols.get("miopenDestroyConvolutionDescriptor")?,
                set_find_mode: symbols.get("miopenSetConvolutionFindMode").ok(),
                directions: [
                    symbols.direction("Forward")?,
                    symbols.direction("BackwardData")?,
                    symbols.direction("BackwardWeights")?,
                ],
                malloc: symbols.get("hipMalloc")?,
                free: symbols.get("hipFree")?,
                kernels: symbols.get("rdna1_sim_kernels")?,
                names: names().ok(),
            })
        }
    }

    /// The name of a solver; its number where the library does not say.
    pub fn solver_name(&self, id: u64) -> String {
        let number = format!("solver-{id}");
        let (Some(names), Ok(value)) = (self.names, usize::try_from(id)) else { return number };
        let mut object = [0; 4];
        let mut text = CxxString { data: std::ptr::null(), length: 0, buffer: [0; 16] };
        // SAFETY: the object is larger than `Id`, which holds one word; both
        // functions have the types that their mangled names say, the result of
        // the second being returned through its first argument, as the ABI has
        // it for a class with a destructor. `text` does not move while it is
        // read. The few names are not freed.
        unsafe {
            (names.construct)(&mut object, value);
            (names.to_string)(&mut text, &object);
            if text.data.is_null() || text.length > 200 {
                return number;
            }
            String::from_utf8_lossy(std::slice::from_raw_parts(text.data, text.length)).into_owned()
        }
    }

    /// The kernels that were launched since this was last asked, by name.
    pub fn kernels(&self) -> Vec<String> {
        // SAFETY: returns a string that lives until the next call.
        let text = unsafe { (self.kernels)().as_ref().map(|first| CStr::from_ptr(first)) };
        let text = text.map(CStr::to_string_lossy).unwrap_or_default();
        text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// MIOpen's own word for a status.
    pub fn status_name(&self, status: c_int) -> String {
        // SAFETY: takes any number and returns a static string.
        let text = unsafe { (self.error_string)(status).as_ref().map(|first| CStr::from_ptr(first)) };
        text.map_or_else(|| status.to_string(), |text| text.to_string_lossy().into_owned())
    }
}
