//! Failover deployments.
