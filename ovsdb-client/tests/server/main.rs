//! The crate against a real ovsdb-server, each test with one of its own in a temporary folder.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod endurance;
#[cfg(test)]
mod manager;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod random;
#[cfg(test)]
mod replica;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod wire;
#[cfg(test)]
mod zoo;
