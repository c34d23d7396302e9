// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages between QEMU's proxy device and its other half
//! (include/hw/remote/mpqemu-link.h of QEMU 7.2): a head of two native numbers,
//! command and length, and that many bytes.

use std::io::{self, ErrorKind, Read, Write};

use crate::Function;

/// Bytes of a head: a C `int`, padding, a C `size_t`.
const HEAD: usize = 16;

/// More than any message has.
const LONGEST: u64 = 4096;

/// What is said, by QEMU's numbers.
mod command {
    /// An answer: one number of 64 bits.
    pub(super) const ANSWER: i32 = 1;
    pub(super) const CONFIG_WRITE: i32 = 2;
    pub(super) const CONFIG_READ: i32 = 3;
    pub(super) const BASE_ADDRESS_WRITE: i32 = 4;
    pub(super) const BASE_ADDRESS_READ: i32 = 5;
    pub(super) const RESET: i32 = 7;
}

/// Plays a PCI function until QEMU hangs up, which is no error.
///
/// What comes with file descriptors (the guest's memory, interrupts) needs no
/// answer and is not used; the kernel closes them, as nobody receives them.
///
/// # Errors
/// The connection breaks, or says what no QEMU says.
pub fn serve(mut connection: impl Read + Write, mut function: Function) -> io::Result<()> {
    let fresh = function.clone();
    loop {
        let mut head = [0; HEAD];
        match connection.read_exact(&mut head) {
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return Ok(());
            }
            other => other?,
        }
        let [c0, c1, c2, c3, _, _, _, _, length @ ..] = head;
        let command = i32::from_ne_bytes([c0, c1, c2, c3]);
        let length = u64::from_ne_bytes(length);
        if length > LONGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("a message of {length} bytes")));
        }
        let mut body = Vec::new();
        (&mut connection).take(length).read_to_end(&mut body)?;
        let answer = match command {
            command::CONFIG_READ => {
                let [at, _, length] = config_access(&body)?;
                function.read(at, length).into()
            }
            command::CONFIG_WRITE => {
                let [at, value, length] = config_access(&body)?;
                function.write(at, value, length);
                0
            }
            command::RESET => {
                function = fresh.clone();
                0
            }
            // There are no base addresses; an answer keeps the guest from waiting.
            command::BASE_ADDRESS_READ => u64::MAX,
            command::BASE_ADDRESS_WRITE => 0,
            _ => continue,
        };
        let mut message = Vec::with_capacity(HEAD + 8);
        message.extend(i64::from(command::ANSWER).to_ne_bytes());
        message.extend(8_u64.to_ne_bytes());
        message.extend(answer.to_ne_bytes());
        connection.write_all(&message)?;
    }
}

/// Offset, value and length of an access to the configuration space.
fn config_access(body: &[u8]) -> io::Result<[u32; 3]> {
    let mut numbers = [0; 3];
    if body.len() < 12 {
        return Err(io::Error::new(ErrorKind::InvalidData, "an access to the configuration space is cut short"));
    }
    for (number, bytes) in numbers.iter_mut().zip(body.chunks_exact(4)) {
        *number = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    fn message(command: i32, body: &[u32]) -> Vec<u8> {
        let mut bytes = i64::from(command).to_ne_bytes().to_vec();
        bytes.extend((body.len() as u64 * 4).to_ne_bytes());
        body.iter().for_each(|number| bytes.extend(number.to_ne_bytes()));
        bytes
    }

    fn talk(messages: &[Vec<u8>]) -> (Vec<u64>, io::Result<()>) {
        let (mut qemu, peer) = UnixStream::pair().expect("sockets can be made");
        let peer = thread::spawn(move || serve(peer, Function::display(0x1002, 0x731f, 0xca)));
        for message in messages {
            // A peer that has given up hears no more.
            let _ = qemu.write_all(message);
        }
        qemu.shutdown(std::net::Shutdown::Write).expect("a socket can be shut down");
        let mut answers = Vec::new();
        // What was not read when the peer gave up ends the connection hard.
        let _ = qemu.read_to_end(&mut answers);
        let number = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        let answers = answers.chunks_exact(HEAD + 8).map(|message| number(&message[HEAD..])).collect();
        (answers, peer.join().expect("the peer has ended"))
    }

    #[test]
    fn each_question_has_one_answer() {
        let (answers, end) = talk(&[
            message(command::CONFIG_READ, &[0, 0, 4]),
            message(command::CONFIG_WRITE, &[4, 0x0006, 2]),
            message(command::CONFIG_READ, &[4, 0, 2]),
            // The guest's memory: no answer.
            message(0, &[0; 50]),
            message(command::RESET, &[]),
            message(command::CONFIG_READ, &[4, 0, 2]),
            message(command::BASE_ADDRESS_READ, &[0; 6]),
        ]);
        assert_eq!(answers, [0x731f_1002, 0, 6, 0, 0, u64::MAX]);
        assert!(end.is_ok(), "{end:?}");
    }

    #[test]
    fn nonsense_ends_the_connection() {
        let too_long = [i64::from(command::CONFIG_READ).to_ne_bytes(), u64::MAX.to_ne_bytes()].concat();
        for message in [message(command::CONFIG_READ, &[0]), too_long] {
            let (answers, end) = talk(&[message]);
            assert_eq!(answers, [0; 0]);
            assert!(end.is_err_and(|error| error.kind() == ErrorKind::InvalidData));
        }
    }
}
