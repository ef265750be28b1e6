#!/usr/bin/env bash
# Runs the first program in an empty project, from the packaged crate.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
# The folder is kept, so that an unchanged crate is not built again.
folder=${STREAMKEEP_CACHE:-$HOME/.cache/streamkeep}/rust

cargo package --quiet -p streamkeep --no-verify --allow-dirty --target-dir "$target"
crate=$(ls -t "$target"/package/streamkeep-[0-9]*.crate | head -n 1)
if ! cmp -s "$crate" "$folder/streamkeep.crate"; then
    rm -rf "$folder"
    mkdir -p "$folder/streamkeep" "$folder/app/src"
    # Files get the present time: with the archive's times cargo could take a new file for one that it has built.
    tar -xmzf "$crate" -C "$folder/streamkeep" --strip-components=1
    cp "$crate" "$folder/streamkeep.crate"
fi
cp examples/rust/src/bin/first_program.rs "$folder/app/src/main.rs"
# The workspace's locked versions, so that nothing is built twice.
cp Cargo.lock "$folder/app/Cargo.lock"
cat > "$folder/app/Cargo.toml" <<'TOML'
[package]
name = "app"
version = "0.0.0"
edition = "2024"

[workspace]

# The same as in the workspace, so that nothing is built twice.
[profile.release]
debug = "line-tables-only"

[dependencies]
futures = { version = "0.3", default-features = false, features = ["std", "async-await"] }
streamkeep = { path = "../streamkeep", features = ["postgres", "mongodb"] }
tempfile = "3"
tokio = { version = "1", features = ["rt-multi-thread", "macros"] }
TOML
cargo run --quiet --release --manifest-path "$folder/app/Cargo.toml" --target-dir "$target" > "$folder/output.txt"
diff examples/first_program.txt "$folder/output.txt"
echo "rust: the first program prints the expected output, from the packaged crate"

cargo build --quiet --release -p streamkeep-examples --bin orders --bin demo --bin move_log
programs=$(cd "$target" && pwd)/release
STREAMKEEP_URL=memory: "$programs/orders" | diff examples/rust/orders.txt -
tests/launcher.sh demos rust "$programs/demo"
tests/launcher.sh moves rust "$programs/move_log"
