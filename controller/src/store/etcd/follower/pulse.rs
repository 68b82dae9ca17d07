//! Asks the cluster how far it is, to notice a watch that has fallen silent.
//!
//! A watch says nothing while nothing changes, and nothing either when its member is halted or cut off. So every second the
//! cluster's majority is asked for its revision, and the watch for its progress. A watch that has reached a revision knows all
//! that was committed before the question.

use super::CallError;
use crate::store::etcd::call::timely;
use crate::store::etcd::endpoints::Reached;
use crate::store::etcd::freshness::Freshness;
use crate::store::etcd::layout::Layout;
use std::time::Duration;
use tokio::time::Instant;

/// The time between two questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a watch may take to reach a revision that the cluster had.
const SILENCE: Duration = Duration::from_secs(3);

/// The cluster's revision, and when it was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    asked: Instant,
    revision: i64,
}

/// The next beat, after a pause.
pub(super) async fn beat(
    reached: &Reached,
    layout: &Layout,
    pause: Pause,
) -> Result<Beat, CallError> {
    if pause == Pause::Interval {
        tokio::time::sleep(INTERVAL).await;
    }
    let asked = Instant::now();
    let answer = timely(reached.client.kv_client().get(layout.format(), None)).await?;
    layout.check_format(&answer)?;
    let revision = answer.header().map_or(0, |header| header.revision());
    Ok(Beat { asked, revision })
}

/// The pause before a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Nothing,
    Interval,
}

/// The beat that the watch has not reached yet, if any.
#[derive(Debug, Default)]
pub(super) struct Pulse(Option<Beat>);

impl Pulse {
    /// Takes in a beat, when the watch is at `seen`. Returns whether the watch is to be asked for its progress.
    pub(super) fn take(
        &mut self,
        beat: Beat,
        seen: i64,
        freshness: &Freshness,
    ) -> Result<bool, CallError> {
        if let Some(earlier) = &self.0
            && earlier.asked.elapsed() > SILENCE
        {
            return Err(CallError::NoAnswer("the watch is silent".to_owned()));
        }
        self.0.get_or_insert(beat);
        self.reached(seen, freshness);
        Ok(self.0.is_some())
    }

    /// Takes in that the watch has reached a revision.
    pub(super) fn reached(&mut self, revision: i64, freshness: &Freshness) {
        if let Some(beat) = self.0
            && beat.revision <= revision
        {
            freshness.confirm(beat.asked);
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(revision: i64) -> Beat {
        let asked = Instant::now();
        Beat { asked, revision }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_ages_until_the_watch_reaches_what_the_cluster_had() {
        let (mut pulse, freshness) = (Pulse::default(), Freshness::default());
        assert_eq!(pulse.take(beat(7), 7, &freshness), Ok(false));
        tokio::time::advance(SILENCE).await;
        assert_eq!(freshness.age(), SILENCE);
        assert_eq!(pulse.take(beat(9), 8, &freshness), Ok(true));
        pulse.reached(8, &freshness);
        assert_eq!(freshness.age(), SILENCE);
        pulse.reached(9, &freshness);
        assert_eq!(freshness.age(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_watch_is_noticed_though_its_member_answers() {
        let (mut pulse, freshness) = (Pulse::default(), Freshness::default());
        assert_eq!(pulse.take(beat(9), 8, &freshness), Ok(true));
        tokio::time::advance(SILENCE).await;
        assert_eq!(pulse.take(beat(9), 8, &freshness), Ok(true));
        tokio::time::advance(INTERVAL).await;
        assert!(pulse.take(beat(9), 8, &freshness).is_err());
    }
}
