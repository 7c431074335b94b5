//! Runs the function `plan-shift` on Lambda.

use plan_shift::{Deployment, clients, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let deployment = Deployment::configured(|name| std::env::var(name).unwrap_or_default());
    failover::aws::serve(clients, |clients, request| handle(clients, deployment.clone(), request)).await
}
