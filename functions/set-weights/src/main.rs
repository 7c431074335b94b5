//! Runs the function `set-weights` on Lambda.

use set_weights::{clients, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    failover::aws::serve(clients, handle).await
}
