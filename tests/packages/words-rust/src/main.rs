//! Counts the words of its first argument, and says what it was compiled by and for.

use std::ffi::{c_int, c_uchar};

extern "C" {
    fn is_space(byte: c_uchar) -> c_int;
    fn riscv_xlen() -> c_int;
}

// A procedural macro's work: 1 + 2 + ... + 10.
const SUM: u32 = seq_macro::seq!(N in 1..=10 { 0 #( + N )* });

fn main() {
    let text = std::env::args().nth(1).expect("an argument: the text");
    let is_space = |byte: &u8| unsafe { is_space(*byte) != 0 };
    let words = text.as_bytes().split(is_space).filter(|word| !word.is_empty()).count();
    let bits = unsafe { riscv_xlen() };
    println!("{words} words, sum {SUM}, {bits} bits, built on {}", env!("BUILT_ON"));
}
