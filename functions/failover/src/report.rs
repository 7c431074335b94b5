//! What a run says: its output, its notices, its metrics.

pub mod conclusion;
pub mod message;
pub mod notice;
pub mod outcome;
pub mod publish;
