//! Three controllers, a store of three members, three hypervisors with a guest each. Whatever fails, guests lose no packet, no
//! flow is touched, and another controller answers. How long that takes is printed.

#![allow(clippy::print_stdout, reason = "a story tells how long things took")]

#[path = "several_controllers/chaos.rs"]
mod chaos;
#[path = "several_controllers/database.rs"]
mod database;
#[path = "several_controllers/failures.rs"]
mod failures;
#[path = "several_controllers/fences.rs"]
mod fences;
#[path = "several_controllers/members.rs"]
mod members;
#[path = "several_controllers/nova.rs"]
mod nova;
#[path = "several_controllers/own.rs"]
mod own;
#[path = "several_controllers/stage.rs"]
mod stage;
#[path = "several_controllers/watch.rs"]
mod watch;
