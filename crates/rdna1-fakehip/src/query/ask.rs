// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks MIOpen about one convolution.

use std::ffi::{c_int, c_void};
use std::fmt::Write;

use crate::abi::{Direction, Found, Library, Object, Solution};
use crate::request::{DIRECTIONS, Request, what};

/// More than MIOpen has ever offered for one problem.
const MOST: usize = 64;

/// A handle to MIOpen and what was seen through it.
pub struct Session<'a> {
    library: &'a Library,
    handle: Object,
    named: std::collections::BTreeSet<u64>,
    /// Kernels by name, with the number by which an answer names them.
    kernels: std::collections::BTreeMap<String, usize>,
}

/// The tensors of a convolution and the convolution itself.
struct Descriptors<'a> {
    library: &'a Library,
    x: Object,
    w: Object,
    y: Object,
    convolution: Object,
}

impl<'a> Session<'a> {
    /// Opens a handle.
    pub fn new(library: &'a Library) -> Result<Self, String> {
        let mut handle = std::ptr::null_mut();
        // SAFETY: stores a handle, which lives as long as the process.
        let status = unsafe { (library.create)(&mut handle) };
        if status != 0 {
            return Err(format!("miopenCreate says {}", library.status_name(status)));
        }
        Ok(Self { library, handle, named: Default::default(), kernels: Default::default() })
    }

    /// MIOpen's version.
    pub fn version(&self) -> Result<String, String> {
        let [mut major, mut minor, mut patch] = [0; 3];
        // SAFETY: stores three numbers.
        let status = unsafe { (self.library.version)(&mut major, &mut minor, &mut patch) };
        if status != 0 {
            return Err(format!("miopenGetVersion says {}", self.library.status_name(status)));
        }
        Ok(format!("{major}.{minor}.{patch}"))
    }

    /// Answers a request, one line for each direction.
    pub fn answer(&mut self, request: &Request, out: &mut String) -> Result<(), String> {
        let descriptors = match Descriptors::new(self.library, request) {
            Ok(descriptors) => descriptors,
            Err((call, status)) => {
                // A refused description is an answer, not the end.
                for (_, letter) in DIRECTIONS.iter().filter(|(bit, _)| request.directions & bit != 0) {
                    let _ = writeln!(out, "D\t{letter}\t{call}\t{status}");
                }
                return Ok(());
            }
        };
        for ((bit, letter), direction) in DIRECTIONS.into_iter().zip(&self.library.directions) {
            if request.directions & bit == 0 {
                continue;
            }
            let mut line = format!("R\t{letter}");
            let mut solutions = Vec::new();
            if request.what & what::COUNT != 0 {
                self.count(direction, &descriptors, letter, &mut line);
            } else {
                line.push_str("\t-\t-");
            }
            if request.what & what::SOLUTIONS != 0 {
                solutions = self.solutions(direction, &descriptors, letter, &mut line);
            } else {
                line.push_str("\t-\t-");
            }
            let mut workspace = 0;
            if request.what & (what::WORKSPACE | what::FIND) != 0 {
                workspace = self.workspace(direction, &descriptors, letter, &mut line);
            } else {
                line.push_str("\t-\t-");
            }
            if request.what & what::FIND != 0 {
                self.find(direction, &descriptors, letter, workspace, &mut line)?;
                self.launched(out, &mut line);
            } else {
                line.push_str("\t-\t-\t-");
            }
            for id in solutions {
                if self.named.insert(id) {
                    let _ = writeln!(out, "N\t{id}\t{}", self.library.solver_name(id));
                }
            }
            out.push_str(&line);
            out.push('\n');
        }
        Ok(())
    }

    /// The kernels that the find step launched, by number; a new one is named first.
    fn launched(&mut self, out: &mut String, line: &mut String) {
        let mut numbers = Vec::new();
        for name in self.library.kernels() {
            let next = self.kernels.len();
            let number = *self.kernels.entry(name.clone()).or_insert_with(|| {
                let _ = writeln!(out, "K\t{next}\t{name}");
                next
            });
            numbers.push(number.to_string());
        }
        line.push('\t');
        list(line, numbers.into_iter());
    }

    fn count(&self, direction: &Direction, d: &Descriptors<'_>, letter: char, line: &mut String) {
        let [first, second, third] = d.ordered(letter);
        let mut count = 0;
        // SAFETY: live objects in the order of miopen.h.
        let status = unsafe { (direction.count)(self.handle, first, second, d.convolution, third, &mut count) };
        let _ = write!(line, "\t{status}\t{count}");
    }

    fn solutions(&self, direction: &Direction, d: &Descriptors<'_>, letter: char, line: &mut String) -> Vec<u64> {
        let [first, second, third] = d.ordered(letter);
        let mut got = 0;
        let mut solutions = [Solution::default(); MOST];
        // SAFETY: live objects in the order of miopen.h; the array holds MOST.
        let status = unsafe {
            let array = solutions.as_mut_ptr();
            (direction.get)(self.handle, first, second, d.convolution, third, MOST, &mut got, array)
        };
        let got = if status == 0 { got.min(MOST) } else { 0 };
        let _ = write!(line, "\t{status}\t");
        list(line, solutions[..got].iter().map(|s| format!("{}:{}:{}", s.id, s.algorithm, s.workspace)));
        solutions[..got].iter().map(|s| s.id).collect()
    }

    /// What the application must allocate before the find step.
    fn workspace(&self, direction: &Direction, d: &Descriptors<'_>, letter: char, line: &mut String) -> usize {
        // Forward alone wants the filter first and the image second.
        let [first, second, third] = d.ordered(letter);
        let mut size = 0;
        // SAFETY: live objects in the order of miopen.h.
        let status = unsafe { (direction.workspace)(self.handle, first, second, d.convolution, third, &mut size) };
        let _ = write!(line, "\t{status}\t{size}");
        if status == 0 { size } else { 0 }
    }

    /// The find step, with the workspace that MIOpen asked for: what PyTorch does.
    fn find(
        &self,
        direction: &Direction,
        d: &Descriptors<'_>,
        letter: char,
        workspace: usize,
        line: &mut String,
    ) -> Result<(), String> {
        let [first, second, third] = match letter {
            'F' => [d.x, d.w, d.y],
            'B' => [d.y, d.w, d.x],
            _ => [d.y, d.x, d.w],
        };
        let [a, b, c] = [self.allocate(1)?, self.allocate(1)?, self.allocate(1)?];
        // What was launched before has no part in this answer.
        self.library.kernels();
        let space = if workspace > 0 { self.allocate(workspace) } else { Ok(std::ptr::null_mut()) };
        let Ok(space) = space else {
            // The application's own out-of-memory, before MIOpen is asked.
            line.push_str("\tno-memory\t");
            self.free(&[a, b, c]);
            return Ok(());
        };
        let mut returned: c_int = 0;
        let mut found = [Found::default(); MOST];
        let request = MOST as c_int;
        // SAFETY: live objects and device addresses, which MIOpen passes on to
        // HIP; the array holds MOST.
        let status = unsafe {
            (direction.find)(
                self.handle,
                first,
                a,
                second,
                b,
                d.convolution,
                third,
                c,
                request,
                &mut returned,
                found.as_mut_ptr(),
                space,
                workspace,
                false,
            )
        };
        self.free(&[a, b, c, space]);
        let returned = usize::try_from(returned).unwrap_or(0).min(if status == 0 { MOST } else { 0 });
        let _ = write!(line, "\t{status}\t");
        list(line, found[..returned].iter().map(|f| format!("{}:{}", f.algorithm, f.workspace)));
        Ok(())
    }

    fn allocate(&self, size: usize) -> Result<*mut c_void, String> {
        let mut pointer = std::ptr::null_mut();
        // SAFETY: hipMalloc stores an address.
        let status = unsafe { (self.library.malloc)(&mut pointer, size) };
        if status == 0 { Ok(pointer) } else { Err(format!("hipMalloc({size}) says {status}")) }
    }

    fn free(&self, pointers: &[*mut c_void]) {
        for &pointer in pointers {
            // SAFETY: it came from hipMalloc or is null, and is not used again.
            unsafe { (self.library.free)(pointer) };
        }
    }
}

fn list(line: &mut String, items: impl Iterator<Item = String>) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            line.push(',');
        }
        line.push_str(&item);
    }
}

impl<'a> Descriptors<'a> {
    /// Describes the convolution to MIOpen; the call and its status if it refuses.
    fn new(library: &'a Library, request: &Request) -> Result<Self, (&'static str, c_int)> {
        let null = std::ptr::null_mut();
        let mut made = Self { library, x: null, w: null, y: null, convolution: null };
        let check = |call, status| if status == 0 { Ok(()) } else { Err((call, status)) };
        let sizes = |outer: i32, inner: i32, rest: &[i32]| [&[outer, inner], rest].concat();
        let (outer, inner) =
            if request.transposed { (request.channels, request.filters) } else { (request.filters, request.channels) };
        let tensors = [
            (&mut made.x, sizes(request.batch, request.channels, &request.input)),
            (&mut made.w, sizes(outer, inner / request.groups, &request.kernel)),
            (&mut made.y, sizes(request.batch, request.filters, &request.output)),
        ];
        for (place, lengths) in tensors {
            let strides = strides(&lengths, request.channels_last).ok_or(("strides", 3))?;
            // SAFETY: stores an object; the arrays are as long as they say.
            unsafe {
                check("miopenCreateTensorDescriptor", (library.create_tensor)(place))?;
                let (lengths, count) = (lengths.as_ptr(), lengths.len() as c_int);
                let status = (library.set_tensor)(*place, request.data_type, count, lengths, strides.as_ptr());
                check("miopenSetTensorDescriptor", status)?;
            }
        }
        let (padding, stride) = (request.padding.as_ptr(), request.stride.as_ptr());
        let (dilation, count) = (request.dilation.as_ptr(), request.padding.len() as c_int);
        // SAFETY: as above; the arrays have `count` numbers each.
        unsafe {
            check("miopenCreateConvolutionDescriptor", (library.create_convolution)(&mut made.convolution))?;
            let mode = c_int::from(request.transposed);
            let status = (library.init_convolution)(made.convolution, count, padding, stride, dilation, mode);
            check("miopenInitConvolutionNdDescriptor", status)?;
            if request.groups > 1 {
                let status = (library.set_groups)(made.convolution, request.groups);
                check("miopenSetConvolutionGroupCount", status)?;
            }
            if request.find_mode != 0 {
                let call = "miopenSetConvolutionFindMode";
                let set = library.set_find_mode.ok_or((call, -1))?;
                check(call, set(made.convolution, request.find_mode))?;
            }
        }
        Ok(made)
    }

    /// The descriptors in the order of the immediate-mode calls.
    fn ordered(&self, letter: char) -> [Object; 3] {
        match letter {
            'F' => [self.w, self.x, self.y],
            'B' => [self.y, self.w, self.x],
            _ => [self.y, self.x, self.w],
        }
    }
}

impl Drop for Descriptors<'_> {
    fn drop(&mut self) {
        // SAFETY: each was made by MIOpen and is not used again.
        unsafe {
            for tensor in [self.x, self.w, self.y].into_iter().filter(|tensor| !tensor.is_null()) {
                (self.library.destroy_tensor)(tensor);
            }
            if !self.convolution.is_null() {
                (self.library.destroy_convolution)(self.convolution);
            }
        }
    }
}

/// The strides of a packed tensor whose lengths are given as N, C, then sizes;
/// `None` where one does not fit MIOpen's type.
fn strides(lengths: &[i32], channels_last: bool) -> Option<Vec<i32>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    if channels_last {
        order[1..].rotate_left(1);
    }
    let mut strides = vec![0; lengths.len()];
    let mut next: i32 = 1;
    for &dimension in order.iter().rev() {
        strides[dimension] = next;
        next = next.checked_mul(lengths[dimension]).or((dimension == order[0]).then_some(0))?;
    }
    Some(strides)
}

#[cfg(test)]
mod tests {
    use super::strides;

    #[test]
    fn strides_of_both_layouts() {
        assert_eq!(strides(&[2, 3, 4, 5], false), Some(vec![60, 20, 5, 1]));
        assert_eq!(strides(&[2, 3, 4, 5], true), Some(vec![60, 1, 15, 3]));
        assert_eq!(strides(&[2, 3, 4, 5, 6], true), Some(vec![360, 1, 90, 18, 3]));
        assert_eq!(strides(&[1 << 20, 1 << 20, 1 << 20], false), None);
    }
}
