//! Says to the service manager that the owner of state works, for as long as it does: one that hangs is ended and started anew.

use crate::service_manager::ServiceManager;
use crate::state::{Event, Events};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

/// Asks the owner each time that the manager is to be told. Does not return.
pub(super) async fn keep(manager: ServiceManager, events: Events) {
    let Some(period) = manager.pulse() else {
        return std::future::pending().await;
    };
    let mut next = interval(period);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        next.tick().await;
        let (answer, answered) = oneshot::channel();
        if events.send(Event::Asked(answer)).await.is_err() || answered.await.is_err() {
            // The owner ends with the process.
            return std::future::pending().await;
        }
        manager.alive();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::time::Duration;

    /// What the manager was told meanwhile.
    fn heard(listener: &UnixDatagram) -> usize {
        let mut buffer = [0; 64];
        std::iter::from_fn(|| listener.recv(&mut buffer).ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_manager_hears_of_an_owner_only_while_it_works() {
        let name = format!("sextant-pulse-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let limit = Some(Duration::from_secs(30));
        let manager = ServiceManager::at(Some(format!("@{name}").into()), limit);
        let (events, mut owner) = state::events();
        let pulse = tokio::spawn(keep(manager, events));
        for _ in 0..3 {
            let Some(Event::Asked(answer)) = owner.recv().await else {
                panic!("the owner is asked nothing else");
            };
            assert_eq!(heard(&listener), 0);
            answer.send(()).unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(heard(&listener), 1);
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(heard(&listener), 0, "the owner hangs");
        pulse.abort();
    }
}
