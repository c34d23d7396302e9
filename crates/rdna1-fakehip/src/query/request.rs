// SPDX-License-Identifier: MIT OR Apache-2.0
//! A line of the question: numbers in a fixed order, separated by spaces.

/// What to ask, as bits of [`Request::what`].
pub mod what {
    /// Which solutions immediate mode offers.
    pub const SOLUTIONS: i32 = 1;
    /// How much workspace the find step wants.
    pub const WORKSPACE: i32 = 2;
    /// What the find step finds.
    pub const FIND: i32 = 4;
    /// How many solutions immediate mode has.
    pub const COUNT: i32 = 8;
}

/// The directions of [`Request::directions`], as bits, with their letters.
pub const DIRECTIONS: [(i32, char); 3] = [(1, 'F'), (2, 'B'), (4, 'W')];

/// One convolution and what to ask of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Bits of [`what`].
    pub what: i32,
    /// Bits: 1 forward, 2 backward data, 4 backward weights.
    pub directions: i32,
    /// The descriptor's find mode; 0 leaves it to the environment.
    pub find_mode: i32,
    /// Whether it is MIOpen's transposed convolution.
    pub transposed: bool,
    /// miopenDataType_t.
    pub data_type: i32,
    /// Whether channels come last in memory.
    pub channels_last: bool,
    /// Images.
    pub batch: i32,
    /// Input channels.
    pub channels: i32,
    /// Output channels.
    pub filters: i32,
    /// Groups.
    pub groups: i32,
    /// Input size, outermost dimension first.
    pub input: Vec<i32>,
    /// Kernel size.
    pub kernel: Vec<i32>,
    /// Output size.
    pub output: Vec<i32>,
    /// Padding.
    pub padding: Vec<i32>,
    /// Stride.
    pub stride: Vec<i32>,
    /// Dilation.
    pub dilation: Vec<i32>,
}

impl Request {
    /// Reads a line; `None` if it is no request.
    pub fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split(' ').map(|word| word.parse::<i32>().ok());
        let mut next = || numbers.next().flatten();
        let [what, directions, find_mode, transposed, data_type, channels_last] =
            [next()?, next()?, next()?, next()?, next()?, next()?];
        let [batch, channels, filters, groups] = [next()?, next()?, next()?, next()?];
        let dimensions = next().filter(|n| (1..=3).contains(n))?;
        let mut sizes = || (0..dimensions).map(|_| next()).collect::<Option<Vec<i32>>>();
        let [input, kernel, output] = [sizes()?, sizes()?, sizes()?];
        let [padding, stride, dilation] = [sizes()?, sizes()?, sizes()?];
        let (transposed, channels_last) = (transposed != 0, channels_last != 0);
        (numbers.next().is_none() && groups > 0).then_some(Self {
            what,
            directions,
            find_mode,
            transposed,
            data_type,
            channels_last,
            batch,
            channels,
            filters,
            groups,
            input,
            kernel,
            output,
            padding,
            stride,
            dilation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_order() {
        let line = "7 3 1 0 1 1 16 64 128 2 2 56 57 3 1 28 29 1 0 2 2 1 1";
        let request = Request::parse(line).expect("a request");
        assert_eq!((request.what, request.directions, request.find_mode), (7, 3, 1));
        assert_eq!((request.batch, request.channels, request.filters, request.groups), (16, 64, 128, 2));
        assert_eq!((request.input, request.output), (vec![56, 57], vec![28, 29]));
        assert!(request.channels_last && !request.transposed);
    }

    #[test]
    fn refuses_everything_else() {
        for line in ["", "1 2 3", "7 3 1 0 1 1 16 64 128 2 9 1", "7 3 1 0 1 1 16 64 128 0 1 5 3 5 1 1 1", "a b"] {
            assert_eq!(Request::parse(line), None, "{line}");
        }
    }
}
