//! One contract for every adapter: against the real server where there is one, else against a stub that
//! answers as the server was seen to, and against stubs that lie, stall and redirect.

#[path = "providers/aws.rs"]
mod aws;
#[path = "providers/aws_armed.rs"]
mod aws_armed;
#[path = "providers/aws_sessions.rs"]
mod aws_sessions;
#[path = "providers/aws_sweep.rs"]
mod aws_sweep;
#[path = "providers/aws_triggers.rs"]
mod aws_triggers;
#[path = "providers/azure.rs"]
mod azure;
#[path = "providers/contract.rs"]
pub mod contract;
#[path = "providers/crowd.rs"]
mod crowd;
#[path = "providers/docs.rs"]
mod docs;
#[path = "providers/kubernetes.rs"]
mod kubernetes;
#[path = "providers/mysql.rs"]
pub mod mysql;
#[path = "providers/node.rs"]
mod node;
#[path = "providers/openbao.rs"]
mod openbao;
#[path = "providers/postgres.rs"]
mod postgres;
#[path = "providers/published.rs"]
mod published;
#[path = "providers/redis.rs"]
pub mod redis;
#[path = "providers/sdk.rs"]
mod sdk;
#[path = "providers/spec.rs"]
mod spec;
#[path = "providers/ssh.rs"]
mod ssh;
#[path = "providers/tables.rs"]
mod tables;
#[path = "providers/ways.rs"]
mod ways;
#[path = "providers/weather.rs"]
mod weather;
#[path = "providers/world.rs"]
mod world;
