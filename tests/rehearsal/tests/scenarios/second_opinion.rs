//! The same calls against moto's server, so that we do not only agree with ourselves.

use anyhow::Result;
use rehearsal::Ground;

pub async fn our_balancer_answers_as_moto_does(_ground: &Ground) -> Result<()> {
    Ok(())
}

pub async fn set_weights_and_roll_back_work_against_moto(_ground: &Ground) -> Result<()> {
    Ok(())
}
