//! What is known of tokens: verdicts of Keystone, for a while, and the questions that are under way.
//!
//! A token is known by a hash of it, so that no copy of memory or of a log has a token. Verdicts that tokens hold and
//! verdicts that they do not are bounded apart: whoever tries many wrong tokens displaces no right one.

use super::token::Token;
use ring::digest::{Context, SHA256};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The most tokens of each kind. One that holds takes about half a kilooctet, and never more than [`HEAVIEST`].
const MOST: usize = 10_000;
/// The longest description in octets that is kept. Users give their application credentials access rules without end.
const HEAVIEST: usize = 8 << 10;
/// How long Keystone's word that it knows no such token counts. It is short: while Keystone's machines exchange keys, one
/// may not know yet what another has issued.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Whether a token that has expired holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// It does not.
    Refused,
    /// For as long as Keystone's `allow_expired_window`: a service goes on with what was begun with it.
    Allowed,
}

/// What stands for a token, and whether it may have expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenKey([u8; 32]);

impl TokenKey {
    pub(super) fn of(token: &[u8], expired: Expired) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[u8::from(expired == Expired::Allowed)]);
        context.update(token);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenVerdict {
    /// It holds.
    Holds(Arc<Token>),
    /// Keystone does not know it, or no more.
    Unknown,
    /// Keystone could not be asked.
    NoAnswer,
}

impl TokenVerdict {
    /// The same at this time, in seconds since 1970. The machine's clock may have been set since.
    pub(super) fn at(self, now: i64, expired: Expired) -> Self {
        match self {
            Self::Holds(token) if expired == Expired::Refused && token.expires_at <= now => {
                Self::Unknown
            }
            Self::Holds(_) | Self::Unknown | Self::NoAnswer => self,
        }
    }
}

/// Who waits for a verdict.
pub(super) type Waiting = watch::Receiver<Option<TokenVerdict>>;

/// What to do about a token.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing: it is known.
    Known(TokenVerdict),
    /// Wait for who asks.
    UnderWay(Waiting),
    /// Ask, and say what came of it.
    Missing(Question, Waiting),
}

/// All that is known of tokens.
#[derive(Debug)]
pub(super) struct Tokens(Mutex<KnownTokens>);

#[derive(Debug)]
struct KnownTokens {
    holding: Shelf<Arc<Token>>,
    unknown: Shelf<()>,
    under_way: HashMap<TokenKey, watch::Sender<Option<TokenVerdict>>>,
}

impl Tokens {
    pub(super) fn new() -> Arc<Self> {
        Self::of(MOST)
    }

    fn of(most: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(KnownTokens {
            holding: Shelf::new(most),
            unknown: Shelf::new(most),
            under_way: HashMap::new(),
        })))
    }

    /// What is known of a token. If nothing is, the caller has to ask.
    pub(super) fn find(self: &Arc<Self>, key: TokenKey, now: Instant) -> Found {
        let mut known = self.known();
        if let Some(token) = known.holding.get(&key, now) {
            return Found::Known(TokenVerdict::Holds(token.clone()));
        }
        if known.unknown.get(&key, now).is_some() {
            return Found::Known(TokenVerdict::Unknown);
        }
        if let Some(tell) = known.under_way.get(&key) {
            return Found::UnderWay(tell.subscribe());
        }
        let (tell, waiting) = watch::channel(None);
        known.under_way.insert(key, tell.clone());
        let tokens = self.clone();
        Found::Missing(Question { tokens, key, tell }, waiting)
    }

    fn known(&self) -> MutexGuard<'_, KnownTokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question to Keystone. If it ends without an answer, those who wait are told so, and the next one asks.
#[derive(Debug)]
pub(super) struct Question {
    tokens: Arc<Tokens>,
    key: TokenKey,
    tell: watch::Sender<Option<TokenVerdict>>,
}

impl Question {
    /// Waits until nobody waits for the answer any more.
    pub(super) async fn unheard(&self) {
        self.tell.closed().await;
    }

    /// The question, if somebody waits for the answer.
    pub(super) fn still_heard(self) -> Option<Self> {
        let heard = {
            let mut known = self.tokens.known();
            let heard = self.tell.receiver_count() > 0;
            if !heard {
                // Under the same lock, so that nobody begins to wait in vain.
                known.under_way.remove(&self.key);
            }
            heard
        };
        heard.then_some(self)
    }

    /// Tells those who wait, and keeps the verdict. One that a token holds is kept for `keep`.
    pub(super) fn answer(self, verdict: &TokenVerdict, now: Instant, keep: Duration) {
        {
            let mut known = self.tokens.known();
            match verdict {
                TokenVerdict::Holds(token) if token.octets <= HEAVIEST => {
                    known.holding.put(self.key, token.clone(), now, keep);
                }
                TokenVerdict::Unknown => {
                    let keep = keep_unknown(keep);
                    known.unknown.put(self.key, (), now, keep);
                }
                TokenVerdict::Holds(_) | TokenVerdict::NoAnswer => {}
            }
        }
        self.tell.send_replace(Some(verdict.clone()));
    }
}

/// Where nothing is kept of what holds, nothing is kept of what does not.
fn keep_unknown(keep: Duration) -> Duration {
    keep.min(UNKNOWN_FOR)
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut known = self.tokens.known();
        let of_key = known.under_way.get(&self.key);
        // The next one may have asked meanwhile.
        if of_key.is_some_and(|tell| tell.same_channel(&self.tell)) {
            known.under_way.remove(&self.key);
        }
    }
}

/// A bounded number of values, each for a time. All are kept for about as long, so that the oldest is the next to go.
#[derive(Debug)]
struct Shelf<V> {
    most: usize,
    values: HashMap<TokenKey, Kept<V>>,
    /// The keys, the oldest first, each with the number of the value that was put then.
    order: VecDeque<(TokenKey, u64)>,
    next: u64,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    until: Instant,
    number: u64,
}

impl<V> Shelf<V> {
    fn new(most: usize) -> Self {
        Self {
            most,
            values: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
        }
    }

    fn get(&self, key: &TokenKey, now: Instant) -> Option<&V> {
        let kept = self.values.get(key)?;
        (now < kept.until).then_some(&kept.value)
    }

    fn put(&mut self, key: TokenKey, value: V, now: Instant, keep: Duration) {
        if keep.is_zero() {
            return;
        }
        let (until, number) = (now + keep, self.next);
        self.next += 1;
        let kept = Kept {
            value,
            until,
            number,
        };
        self.values.insert(key, kept);
        self.order.push_back((key, number));
        while self.order.len() > self.most {
            self.drop_oldest();
        }
        while self.oldest().is_some_and(|until| until <= now) {
            self.drop_oldest();
        }
    }

    /// Until when the oldest value is kept.
    fn oldest(&self) -> Option<Instant> {
        let (key, _) = self.order.front()?;
        self.values.get(key).map(|kept| kept.until)
    }

    fn drop_oldest(&mut self) {
        let Some((key, number)) = self.order.pop_front() else {
            return;
        };
        // A key that was put again since has another number, and stays.
        if self.values.get(&key).map(|kept| kept.number) == Some(number) {
            self.values.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Catalog;
    use super::super::token::Scope;
    use super::*;

    const KEEP: Duration = Duration::from_secs(300);

    fn key(n: usize) -> TokenKey {
        TokenKey::of(&n.to_be_bytes(), Expired::Refused)
    }

    fn token() -> TokenVerdict {
        of_octets(1000)
    }

    fn of_octets(octets: usize) -> TokenVerdict {
        TokenVerdict::Holds(Arc::new(Token {
            octets,
            user: "u".to_owned(),
            user_name: None,
            project_name: None,
            scope: Scope::Nothing,
            roles: vec![],
            is_admin_project: true,
            access_rules: None,
            expires_at: 0,
            catalog: Catalog::default(),
        }))
    }

    /// Has a question about this key answered.
    fn answer(tokens: &Arc<Tokens>, key: TokenKey, now: Instant, verdict: &TokenVerdict) {
        match tokens.find(key, now) {
            Found::Missing(question, _) => question.answer(verdict, now, KEEP),
            Found::Known(_) | Found::UnderWay(_) => panic!("it is known"),
        }
    }

    fn verdict(tokens: &Arc<Tokens>, key: TokenKey, now: Instant) -> Option<TokenVerdict> {
        match tokens.find(key, now) {
            Found::Known(verdict) => Some(verdict),
            Found::UnderWay(_) | Found::Missing(..) => None,
        }
    }

    #[test]
    fn a_verdict_counts_for_its_time_and_no_longer() {
        let (tokens, now) = (Tokens::new(), Instant::now());
        answer(&tokens, key(1), now, &token());
        answer(&tokens, key(2), now, &TokenVerdict::Unknown);
        answer(&tokens, key(3), now, &TokenVerdict::NoAnswer);
        let just_before = |time: Duration| now + time.checked_sub(Duration::from_nanos(1)).unwrap();
        assert_eq!(verdict(&tokens, key(1), just_before(KEEP)), Some(token()));
        assert_eq!(verdict(&tokens, key(1), now + KEEP), None);
        let soon = just_before(UNKNOWN_FOR);
        assert_eq!(verdict(&tokens, key(2), soon), Some(TokenVerdict::Unknown));
        assert_eq!(verdict(&tokens, key(2), now + UNKNOWN_FOR), None);
        assert_eq!(verdict(&tokens, key(3), now), None);
    }

    #[test]
    fn no_token_holds_after_its_end_but_for_a_service() {
        for (now, expired, expected) in [
            (-1, Expired::Refused, token()),
            (0, Expired::Refused, TokenVerdict::Unknown),
            (0, Expired::Allowed, token()),
        ] {
            assert_eq!(token().at(now, expired), expected, "{now} {expired:?}");
        }
    }

    #[test]
    fn a_long_description_is_not_kept() {
        let (tokens, now) = (Tokens::new(), Instant::now());
        answer(&tokens, key(1), now, &of_octets(HEAVIEST));
        answer(&tokens, key(2), now, &of_octets(HEAVIEST + 1));
        assert!(verdict(&tokens, key(1), now).is_some());
        assert_eq!(verdict(&tokens, key(2), now), None);
    }

    #[test]
    fn one_asks_and_the_others_wait() {
        let (tokens, now) = (Tokens::new(), Instant::now());
        let Found::Missing(question, _) = tokens.find(key(1), now) else {
            panic!("nothing is known")
        };
        let Found::UnderWay(waiting) = tokens.find(key(1), now) else {
            panic!("it is asked")
        };
        assert!(matches!(tokens.find(key(2), now), Found::Missing(..)));
        question.answer(&token(), now, KEEP);
        assert_eq!(*waiting.borrow(), Some(token()));
        assert_eq!(tokens.known().under_way.len(), 0);
    }

    #[test]
    fn who_gives_up_leaves_the_question_to_the_next() {
        let (tokens, now) = (Tokens::new(), Instant::now());
        drop(tokens.find(key(1), now));
        assert!(matches!(tokens.find(key(1), now), Found::Missing(..)));
    }

    #[tokio::test]
    async fn a_question_for_which_nobody_waits_is_given_up() {
        let (tokens, now) = (Tokens::new(), Instant::now());
        let Found::Missing(question, waiting) = tokens.find(key(1), now) else {
            panic!("nothing is known")
        };
        let question = question.still_heard().unwrap();
        drop(waiting);
        question.unheard().await;
        let Found::UnderWay(waiting) = tokens.find(key(1), now) else {
            panic!("it is asked")
        };
        let question = question.still_heard().unwrap();
        drop(waiting);
        assert!(question.still_heard().is_none());
        assert!(matches!(tokens.find(key(1), now), Found::Missing(..)));
    }

    #[test]
    fn wrong_tokens_without_end_displace_no_right_one() {
        let (tokens, now) = (Tokens::of(100), Instant::now());
        answer(&tokens, key(0), now, &token());
        for n in 1..10_000 {
            answer(&tokens, key(n), now, &TokenVerdict::Unknown);
        }
        assert_eq!(verdict(&tokens, key(0), now), Some(token()));
        assert_eq!(tokens.known().unknown.values.len(), 100);
        for n in 10_000..10_200 {
            answer(&tokens, key(n), now, &token());
        }
        assert_eq!(verdict(&tokens, key(0), now), None);
        let known = tokens.known();
        assert_eq!(
            (known.holding.values.len(), known.holding.order.len()),
            (100, 100)
        );
    }

    #[test]
    fn what_is_over_goes_with_the_next_that_comes() {
        let (tokens, now) = (Tokens::new(), Instant::now());
        for n in 0..10 {
            answer(&tokens, key(n), now, &token());
        }
        answer(&tokens, key(10), now + KEEP, &token());
        answer(&tokens, key(0), now + KEEP, &token());
        assert_eq!(tokens.known().holding.values.len(), 2);
    }

    #[test]
    fn a_token_that_may_have_expired_is_another_question() {
        let may = TokenKey::of(b"t", Expired::Allowed);
        assert_ne!(may, TokenKey::of(b"t", Expired::Refused));
    }
}
