//! Sets the cfg `streamkeep_faults` if the build runs with `STREAMKEEP_FAULTS=1`. It compiles planted bugs and
//! failpoints, which only this workspace's tests use. It is not a feature, so no dependent crate can switch it on by
//! accident.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(streamkeep_faults)");
    println!("cargo:rerun-if-env-changed=STREAMKEEP_FAULTS");
    if std::env::var("STREAMKEEP_FAULTS").is_ok_and(|value| value == "1") {
        println!("cargo:rustc-cfg=streamkeep_faults");
    }
}
