//! Drives the target that the variable `FUZZ_TARGET` names by libFuzzer. Started by `cargo xtask fuzz`.

#![no_main]
// The macro makes the functions that libFuzzer calls, without documentation.
#![allow(missing_docs, clippy::expect_used)]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    fuzz::target(&name).expect("FUZZ_TARGET names a target")
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
