//! Sets one cfg, `streamkeep_faults`, when `STREAMKEEP_FAULTS=1` stands in the environment of the build: planted bugs
//! and failpoints, for this workspace's own tests alone. It is no feature, so no dependent can switch it on by
//! accident.

fn main() {
    println!("cargo:rustc-check-cfg=cfg(streamkeep_faults)");
    println!("cargo:rerun-if-env-changed=STREAMKEEP_FAULTS");
    if std::env::var("STREAMKEEP_FAULTS").is_ok_and(|value| value == "1") {
        println!("cargo:rustc-cfg=streamkeep_faults");
    }
}
