//! Against Open vSwitch itself: its tools (`ofctl`) and its daemon (`switch`).

mod ofctl;
mod support;
mod switch;
