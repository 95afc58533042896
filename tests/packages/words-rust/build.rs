//! Compiles C for the target, and tells the crate what the build saw.
fn main() {
    cc::Build::new().file("src/is_space.c").compile("is_space");
    println!("cargo:rerun-if-changed=src/is_space.c");
    println!("cargo:rustc-env=BUILT_ON={}", std::env::consts::ARCH);
}
