//! The syntax of `ovs-ofctl`.
