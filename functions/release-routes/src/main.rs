//! Runs the function `release-routes` on Lambda.

use release_routes::{clients, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    failover::aws::serve(clients, handle).await
}
