//! A rehearsal: whole cycles with everything that ships, and users all the while.

use rehearsal::{Ground};
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let ground = Ground::start().await?;
    println!("{}", ground.endpoint());
    Ok(())
}
