//! The flows that one hypervisor should have, object by object.

mod groups;
mod refusals;
mod wanted;

use crate::contribution::{
    Contribution, PipelineObject, all_but_ports, contribution, named_groups, of_port,
};
use crate::dependencies::touched;
use crate::difference::{Difference, InstalledFlow};
use crate::features::security::MemberFinder;
use crate::flow::{Cookie, CookieHasher, Doing, Flow, KeptFlow, Packed, PackedFlow};
use crate::link::Interface;
use crate::shared::{SharedFlows, SharedSource};
use crate::view::{Lookups, View};
use crate::withheld::Withheld;
use groups::{Group, Groups, More, OwnGroup};
use refusals::RefusedFlows;
use sextant_model::{
    AdvertisedLink, ChassisId, Facts, Intent, NetworkId, PortId, Punt, SecurityGroupId, Uplink,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, btree_map};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use wanted::WantedCookies;

type ByCookie<T> = HashMap<Cookie, T, BuildHasherDefault<CookieHasher>>;

/// The flows that one hypervisor should have.
///
/// Their content takes most of the memory, and is needed only while a switch gets it. So it can be dropped
/// ([`Flows::drop_contents`]), and made again from the objects ([`Flows::recompute`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flows {
    groups: Groups,
    wanted: WantedCookies,
    /// `None`: they were dropped.
    contents: Option<ByCookie<Packed>>,
    /// Looked up with each packet that comes up.
    punts: ByCookie<Punt>,
    /// The meters that flows pass, and how many objects want each.
    meters: BTreeMap<u32, u32>,
    /// What is not published outside, with the number of addresses each is about.
    withheld: BTreeMap<Withheld, u32>,
    /// What differences leave out, since the switch refused it.
    refused: RefusedFlows,
    /// Where shared flows are made and found.
    workshop: Workshop,
}

/// Flows are equal wherever they were made.
#[derive(Clone, Debug, Default)]
struct Workshop(Arc<SharedFlows>);

impl PartialEq for Workshop {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Flows {
    /// All flows of a hypervisor.
    #[must_use]
    pub fn compute(intent: &Intent, facts: &Facts, chassis: &ChassisId) -> Self {
        let mut flows = Self::default();
        flows.recompute(intent, facts, chassis);
        flows
    }

    /// No flows, to be computed with [`Flows::recompute`]. Hypervisors that are given the same `shared` share what they can.
    #[must_use]
    pub fn sharing(shared: &Arc<SharedFlows>) -> Self {
        Self {
            workshop: Workshop(shared.clone()),
            ..Self::default()
        }
    }

    /// Computes all flows of a hypervisor anew, with their contents. What its switch has refused stays refused.
    pub fn recompute(&mut self, intent: &Intent, facts: &Facts, chassis: &ChassisId) {
        let view = View::new(intent, facts, chassis);
        // What is kept until the end is not made again.
        let mut old = std::mem::take(self);
        *self = Self {
            refused: std::mem::take(&mut old.refused).of_nobody(),
            contents: Some(ByCookie::default()),
            workshop: old.workshop.clone(),
            ..Self::default()
        };
        let present = view.present();
        let lookups = Lookups::of(&view, &present);
        let view = view.with(&lookups);
        for object in all_but_ports(&view, &present, lookups.members()) {
            let computed = contribution(&view, &object);
            self.replace(object, computed, None);
        }
        for port in present.keys().flat_map(|network| intent.ports_of(*network)) {
            let object = PipelineObject::Port(port.id);
            self.replace(object, of_port(&view, port), None);
        }
        self.add_members(&view, &named_groups(&view));
    }

    /// Adds what the members of groups contribute, each once.
    fn add_members(&mut self, view: &View<'_>, groups: &BTreeSet<SecurityGroupId>) {
        let lists = self.workshop.0.members().of(view.intent);
        let mut finder = MemberFinder::new(*view);
        let mut added = HashSet::new();
        for group in groups {
            for member in &*lists.list(view.intent, *group) {
                let address = member.address;
                // Who is in one group cannot have come before.
                if member.groups.len() > 1 && !added.insert(address) {
                    continue;
                }
                if let Some(found) = finder.find(address, &member.groups) {
                    let computed = Some(SharedSource::Member(found)).into();
                    self.replace(PipelineObject::Member(address), computed, None);
                }
            }
        }
    }

    /// Brings flows computed from `old` in line with `new`, and returns the changes. Costs as much as the objects that
    /// changed, however large the cloud is.
    pub fn update(
        &mut self,
        chassis: &ChassisId,
        old: (&Intent, &Facts),
        new: (&Intent, &Facts),
    ) -> Difference {
        let [old, new] = [old, new].map(|(intent, facts)| View::new(intent, facts, chassis));
        let mut difference = Difference::default();
        for object in touched(&old, &new) {
            let computed = contribution(&new, &object);
            self.replace(object, computed, Some(&mut difference));
        }
        difference
    }

    /// Whether it is known what flows match and do.
    #[must_use]
    pub fn has_contents(&self) -> bool {
        self.contents.is_some()
    }

    /// Forgets what flows match and do, and keeps which there are, by cookie.
    pub fn drop_contents(&mut self) {
        self.contents = None;
    }

    /// Every flow, by cookie. None if their contents were dropped.
    pub fn iter(&self) -> impl Iterator<Item = (Cookie, Flow)> {
        let contents: BTreeMap<&Cookie, &Packed> = self.contents.iter().flatten().collect();
        let contents = contents.into_iter();
        contents.filter_map(|(cookie, packed)| Some((*cookie, self.unpacked(*cookie, packed)?)))
    }

    /// What wanted flows do, by cookie, to compare with what a switch has.
    #[must_use]
    pub fn doings(&self) -> Doings {
        let kept = self.groups.flows();
        Doings(
            kept.filter_map(|kept| Some((kept.cookie, kept.doing?)))
                .collect(),
        )
    }

    fn unpacked(&self, cookie: Cookie, packed: &Packed) -> Option<Flow> {
        packed.unpack(self.punts.get(&cookie))
    }

    /// The content of a flow. `None` if it is not wanted, or the contents were dropped.
    pub(crate) fn packed(&self, cookie: Cookie) -> Option<&Packed> {
        self.contents.as_ref()?.get(&cookie)
    }

    /// The flows that the switch has not refused, in no order. One may come several times.
    pub(crate) fn installable(&self) -> impl Iterator<Item = KeptFlow> {
        let kept = self.groups.flows();
        kept.filter(|kept| !self.refused.has(kept.cookie))
    }

    /// What the switch has once it is programmed: all flows except those that it refused.
    pub(crate) fn installed(&self) -> impl Iterator<Item = (Cookie, Flow)> {
        self.iter().filter(|(cookie, _)| !self.refused.has(*cookie))
    }

    /// The meters that the switch has not refused.
    #[must_use]
    pub fn installable_meters(&self) -> BTreeSet<u32> {
        let meters = self.meters.keys().copied();
        meters
            .filter(|meter| !self.refused.has_meter(*meter))
            .collect()
    }

    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Whether there are no flows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The flow of a cookie. `None` if it is not wanted, or the contents were dropped.
    #[must_use]
    pub fn get(&self, cookie: Cookie) -> Option<Flow> {
        self.unpacked(cookie, self.packed(cookie)?)
    }

    /// Every object with the flows that it wants. Several objects may want the same flow.
    #[must_use]
    pub fn by_object(&self) -> BTreeMap<&PipelineObject, Vec<Cookie>> {
        self.groups.by_object()
    }

    /// Why the flow of a cookie sends packets up.
    #[must_use]
    pub fn punt(&self, cookie: Cookie) -> Option<&Punt> {
        self.punts.get(&cookie)
    }

    /// The meters that flows pass, by number.
    #[must_use]
    pub fn meters(&self) -> BTreeSet<u32> {
        self.meters.keys().copied().collect()
    }

    /// The routers' ports that advertise to guests here.
    #[must_use]
    pub fn links(&self) -> BTreeMap<PortId, AdvertisedLink> {
        let all = self.groups.all_more();
        all.filter_map(|(object, more)| Some((object.port()?, more.link.clone()?)))
            .collect()
    }

    /// The routers' ports on networks with guests here.
    pub fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        let all = self.groups.all_more();
        all.filter_map(|(_, more)| more.interface.as_ref())
    }

    /// The external networks that routers use by a bridge of this hypervisor.
    #[must_use]
    pub fn uplinks(&self) -> BTreeMap<NetworkId, Uplink> {
        let all = self.groups.all_more();
        all.filter_map(|(object, more)| Some((object.network()?, more.uplink.clone()?)))
            .collect()
    }

    /// What is not published outside though routers with their gateway here publish guests there, with the number of
    /// addresses each is about.
    #[must_use]
    pub fn withheld(&self) -> &BTreeMap<Withheld, u32> {
        &self.withheld
    }

    /// Gives an object what it contributes instead of what it did, and notes what that changes.
    fn replace(
        &mut self,
        object: PipelineObject,
        computed: Contribution,
        mut difference: Option<&mut Difference>,
    ) {
        // The new is wanted before the old is let go, here and below: what both contain never counts as gone.
        let group = self.want_all(computed, difference.as_deref_mut());
        let cookies = group.flows().map(|flow| flow.cookie);
        self.refused.wants(&object, cookies);
        if let Some(difference) = &mut difference {
            let (old, new) = (self.groups.more(&object), group.own.more.as_deref());
            note_links(old, new, difference);
        }
        let old = self.groups.put(object, group);
        if let Some(more) = &old.own.more {
            self.unwant_more(more, difference.as_deref_mut());
        }
        for flow in old.flows() {
            self.unwant(flow, difference.as_deref_mut());
        }
    }

    fn want_all(
        &mut self,
        computed: Contribution,
        mut difference: Option<&mut Difference>,
    ) -> Group {
        let more = More {
            meters: computed.meters,
            link: computed.link,
            interface: computed.interface,
            uplink: computed.uplink,
            withheld: computed.withheld,
        };
        self.want_more(&more, difference.as_deref_mut());
        let shared = computed.shared.map(|source| self.workshop.0.get(source));
        for flow in shared.iter().flat_map(|shared| &shared.flows) {
            self.want(flow, difference.as_deref_mut());
        }
        let flows = computed.flows.iter().map(Flow::pack);
        let flows = flows.map(|flow| self.want(&flow, difference.as_deref_mut()));
        let own = OwnGroup {
            flows: flows.collect(),
            more: (!more.is_empty()).then(|| Box::new(more)),
        };
        let shared = shared.filter(|shared| !shared.flows.is_empty());
        Group { shared, own }
    }

    fn want_more(&mut self, more: &More, mut difference: Option<&mut Difference>) {
        more.withheld.iter().for_each(|of| self.withhold(*of));
        for meter in &more.meters {
            self.want_meter(*meter, difference.as_deref_mut());
        }
    }

    fn unwant_more(&mut self, more: &More, mut difference: Option<&mut Difference>) {
        for meter in &more.meters {
            self.unwant_meter(*meter, difference.as_deref_mut());
        }
        more.withheld.iter().for_each(|of| self.release(*of));
    }

    fn withhold(&mut self, withheld: Withheld) {
        *self.withheld.entry(withheld).or_default() += 1;
    }

    fn release(&mut self, withheld: Withheld) {
        if let btree_map::Entry::Occupied(mut addresses) = self.withheld.entry(withheld) {
            *addresses.get_mut() -= 1;
            if *addresses.get() == 0 {
                addresses.remove();
            }
        }
    }

    fn want_meter(&mut self, meter: u32, difference: Option<&mut Difference>) {
        let by = self.meters.entry(meter).or_default();
        *by += 1;
        if let Some(difference) = difference
            && *by == 1
            && !self.refused.has_meter(meter)
        {
            difference.want_meter(meter);
        }
    }

    fn unwant_meter(&mut self, meter: u32, difference: Option<&mut Difference>) {
        let Some(by) = self.meters.get_mut(&meter) else {
            return;
        };
        *by -= 1;
        if *by == 0 {
            self.meters.remove(&meter);
            if let Some(difference) = difference {
                difference.unwant_meter(meter);
            }
            self.refused.unwanted_meter(meter);
        }
    }

    fn want(&mut self, flow: &PackedFlow, difference: Option<&mut Difference>) -> KeptFlow {
        let cookie = flow.kept.cookie;
        if let Some(punt) = &flow.punt {
            self.punts.insert(cookie, Punt::clone(punt));
        }
        if self.wanted.want(cookie) {
            self.refused.measure(cookie, &flow.content);
            if let Some(difference) = difference
                && !self.refused.has(cookie)
            {
                difference.want(flow);
            }
            if let Some(contents) = &mut self.contents {
                contents.insert(cookie, flow.content.clone());
            }
        }
        flow.kept
    }

    fn unwant(&mut self, flow: KeptFlow, difference: Option<&mut Difference>) {
        let cookie = flow.cookie;
        if self.wanted.unwant(cookie) {
            if let Some(difference) = difference {
                difference.unwant(flow);
            }
            if let Some(contents) = &mut self.contents {
                contents.remove(&cookie);
            }
            self.punts.remove(&cookie);
            self.refused.unwanted(cookie);
        }
    }
}

/// What flows do, by cookie.
#[derive(Debug)]
pub struct Doings(ByCookie<Doing>);

impl Doings {
    /// Whether a switch has something else under a flow's cookie than what is wanted. False where no such flow is
    /// wanted.
    #[must_use]
    pub fn differ(&self, flow: &InstalledFlow, doing: Doing) -> bool {
        let wanted = self.0.get(&flow.cookie);
        wanted.is_some_and(|wanted| *wanted != doing)
    }
}

/// Notes whether routers' ports have something else to say, inside or outside.
fn note_links(old: Option<&More>, new: Option<&More>, difference: &mut Difference) {
    let nothing = More::default();
    let [old, new] = [old, new].map(|more| more.unwrap_or(&nothing));
    if (&old.link, &old.interface) != (&new.link, &new.interface) {
        difference.touch_links();
    }
    if old.uplink != new.uplink {
        difference.touch_uplinks();
    }
}
