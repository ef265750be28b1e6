//! Gives the linker what a library for Node needs, and what keeps it mapped while its threads live.

fn main() {
    napi_build::setup();
}
