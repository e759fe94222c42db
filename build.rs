//! Tells cargo that the binary embeds `profiles/`: a file added there must rebuild it.

fn main() {
    println!("cargo:rerun-if-changed=profiles");
}
