//! See `creditgate_tests::bad`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: creditgate_fuzz::begin(),
    |input: &[u8]| creditgate_tests::bad::check("jwk_set", input)
);
