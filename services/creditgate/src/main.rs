//! The one binary: roles and commands.
fn main() {}
