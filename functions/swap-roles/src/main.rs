//! Runs the function `swap-roles` on Lambda.

use swap_roles::{clients, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    failover::aws::serve(clients, handle).await
}
