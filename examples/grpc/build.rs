//! Generates the Rust code of `proto/orders.proto`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["orders.proto"], ["proto"])?;
    tonic_prost_build::compile_fds(files)?;
    Ok(())
}
