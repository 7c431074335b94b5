//! Runs the function `send-notice` on Lambda.

use send_notice::{clients, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    failover::aws::serve(clients, handle).await
}
