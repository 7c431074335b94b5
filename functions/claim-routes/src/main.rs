//! Runs the function `claim-routes` on Lambda.

use claim_routes::{clients, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    failover::aws::serve(clients, handle).await
}
