//! Prints OpenFlow messages as `ovs-ofctl ofp-print` does, from their bytes in hexadecimal.
//!
//! Each argument, or else each line of the standard input, is a stream of messages; spaces and colons do not count:
//!
//! ```console
//! $ cargo run --example ofp_print -- 0414000800000007
//! OFPT_BARRIER_REQUEST (OF1.3) (xid=0x7):
//! $ grep -o '^[0-9a-f]*' tests/corpus/messages.txt | cargo run --example ofp_print
//! ```
//!
//! What is malformed is said with its place and reason, and with the error that a peer is answered with.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use bytes::BytesMut;
use rust_openflow::{Framer, Message};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        for line in std::io::stdin().lines() {
            print(&line?)?;
        }
    }
    arguments.iter().try_for_each(|line| print(line))
}

fn print(line: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = BytesMut::from(&bytes(line)?[..]);
    while let Some(frame) = Framer.next(&mut stream)? {
        match Message::decode(&frame) {
            Ok((xid, message)) => println!("{}", message.print(xid)),
            Err(error) => println!("{error} ({})", error.to_error_code()),
        }
    }
    match stream.len() {
        0 => Ok(()),
        left => Err(format!("{left} bytes are no whole message").into()),
    }
}

fn bytes(line: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = line
        .chars()
        .filter(|digit| !matches!(digit, ' ' | ':' | '\t'));
    let digits: Vec<u8> = digits
        .map(|digit| {
            digit
                .to_digit(16)
                .map(|value| value as u8)
                .ok_or("no hexadecimal")
        })
        .collect::<Result<_, _>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Ok(16 * high + low),
        _ => Err("half a byte is left over".into()),
    });
    pairs.collect()
}
