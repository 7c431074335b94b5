//! What application probes answer, and what follows from it.

pub mod answer;
pub mod judge;
