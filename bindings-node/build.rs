//! Sets the linker options that a library for Node needs, and that keep it mapped while its threads run.

fn main() {
    napi_build::setup();
}
