//! `controller(…)`, which has two forms: one of fixed fields, and one of properties.

use super::{CONTROLLER, CONTROLLER2, put_bare};
use crate::actions::{Action, WHOLE_PACKET};
use crate::error::DecodeError;
use crate::packets::PacketInReason;
use crate::property::{property, put_property, put_u16_property};
use crate::wire::Reader;
use bytes::{BufMut, Bytes, BytesMut};

pub(super) fn encode(buffer: &mut BytesMut, action: &Action) {
    if let Action::Controller {
        max_len,
        id,
        reason,
        userdata,
        pause,
        meter,
    } = action
    {
        let arguments = Arguments {
            max_len: *max_len,
            id: *id,
            reason: *reason,
            userdata,
            pause: *pause,
            meter: *meter,
        };
        arguments.encode(buffer);
    }
}

/// The arguments of `controller(…)`.
struct Arguments<'a> {
    max_len: u16,
    id: u16,
    reason: PacketInReason,
    userdata: &'a Bytes,
    pause: bool,
    meter: Option<u32>,
}

const PROPERTY_MAX_LEN: u16 = 0;
const PROPERTY_CONTROLLER_ID: u16 = 1;
const PROPERTY_REASON: u16 = 2;
const PROPERTY_USERDATA: u16 = 3;
const PROPERTY_PAUSE: u16 = 4;
const PROPERTY_METER: u16 = 5;

impl Arguments<'_> {
    /// The older fixed form unless something needs the newer one.
    fn encode(&self, buffer: &mut BytesMut) {
        if self.userdata.is_empty() && !self.pause && self.meter.is_none() {
            [CONTROLLER, self.max_len, self.id]
                .into_iter()
                .for_each(|number| buffer.put_u16(number));
            buffer.put_u8(self.reason.number());
            buffer.put_u8(0);
        } else {
            put_bare(buffer, CONTROLLER2);
            self.properties(buffer);
        }
    }

    fn properties(&self, buffer: &mut BytesMut) {
        if self.max_len != WHOLE_PACKET {
            put_u16_property(buffer, PROPERTY_MAX_LEN, self.max_len);
        }
        if self.id != 0 {
            put_u16_property(buffer, PROPERTY_CONTROLLER_ID, self.id);
        }
        if self.reason != PacketInReason::Action {
            put_property(buffer, PROPERTY_REASON, &[self.reason.number()]);
        }
        if !self.userdata.is_empty() {
            put_property(buffer, PROPERTY_USERDATA, self.userdata);
        }
        if self.pause {
            put_property(buffer, PROPERTY_PAUSE, &[]);
        }
        if let Some(meter) = self.meter {
            put_property(buffer, PROPERTY_METER, &meter.to_be_bytes());
        }
    }
}

/// The older fixed form.
pub(super) fn decode(part: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (max_len, id) = (part.u16()?, part.u16()?);
    let reason = PacketInReason::from_number(part.u8()?);
    Ok(Action::Controller {
        max_len,
        id,
        reason,
        userdata: Bytes::new(),
        pause: false,
        meter: None,
    })
}

/// The newer form, of properties.
pub(super) fn decode2(part: &mut Reader<'_>) -> Result<Option<Action>, DecodeError> {
    part.skip(6)?;
    let (mut max_len, mut id, mut reason) = (WHOLE_PACKET, 0, PacketInReason::Action);
    let (mut userdata, mut pause, mut meter) = (Bytes::new(), false, None);
    while !part.is_empty() {
        let (kind, mut value) = property(part)?;
        match kind {
            PROPERTY_MAX_LEN => max_len = value.u16()?,
            PROPERTY_CONTROLLER_ID => id = value.u16()?,
            PROPERTY_REASON => reason = PacketInReason::from_number(value.u8()?),
            PROPERTY_USERDATA => userdata = value.remainder(),
            PROPERTY_PAUSE => pause = true,
            PROPERTY_METER => meter = Some(value.u32()?),
            _ => return Ok(None),
        }
    }
    let needed = !userdata.is_empty() || pause || meter.is_some();
    Ok(needed.then_some(Action::Controller {
        max_len,
        id,
        reason,
        userdata,
        pause,
        meter,
    }))
}
