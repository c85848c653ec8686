//! The rows of the fault catalogue that the simulator can inject: each named test injects exactly that fault, in many
//! worlds that differ in network and clocks, and asserts what the catalogue expects. What every row asserts without
//! exception is checked by the world itself.

#[path = "../support/world/mod.rs"]
mod world;

mod activation;
mod keys;
mod leases;
mod leaving;
mod milvus;
mod network;
mod watches;
