//! Counters of ports and queues, and who made the switch (OpenFlow 1.3.5, 7.3.5.1, 7.3.5.6, 7.3.5.8).

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::numbers::PortNo;
use crate::wire::{Reader, put_text};

/// Who made the switch (`ofp_desc`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `Nicira, Inc.` for Open vSwitch.
    pub manufacturer: String,
    /// `Open vSwitch`
    pub hardware: String,
    /// Its version.
    pub software: String,
    /// Serial number.
    pub serial: String,
    /// The datapath in words; the bridge's `other_config:dp-desc`.
    pub datapath: String,
}

impl Description {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        put_text(buffer, &self.manufacturer, 256);
        put_text(buffer, &self.hardware, 256);
        put_text(buffer, &self.software, 256);
        put_text(buffer, &self.serial, 32);
        put_text(buffer, &self.datapath, 256);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Description {
            manufacturer: reader.text(256)?,
            hardware: reader.text(256)?,
            software: reader.text(256)?,
            serial: reader.text(32)?,
            datapath: reader.text(256)?,
        })
    }
}

/// Counters of a port; `u64::MAX` where the switch does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Port number.
    pub number: PortNo,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets dropped on receipt.
    pub rx_dropped: u64,
    /// Packets dropped on sending.
    pub tx_dropped: u64,
    /// Errors of receipt, all kinds.
    pub rx_errors: u64,
    /// Errors of sending.
    pub tx_errors: u64,
    /// Frame alignment errors.
    pub rx_frame_errors: u64,
    /// Overruns.
    pub rx_over_errors: u64,
    /// Checksum errors.
    pub rx_crc_errors: u64,
    /// Collisions.
    pub collisions: u64,
    /// Seconds that it has been there.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
}

impl PortStats {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u64(u64::from(self.number.0) << 32);
        let counters = [
            self.rx_packets,
            self.tx_packets,
            self.rx_bytes,
            self.tx_bytes,
            self.rx_dropped,
            self.tx_dropped,
            self.rx_errors,
            self.tx_errors,
            self.rx_frame_errors,
            self.rx_over_errors,
            self.rx_crc_errors,
            self.collisions,
        ];
        counters
            .into_iter()
            .for_each(|counter| buffer.put_u64(counter));
        buffer.put_u32(self.duration_sec);
        buffer.put_u32(self.duration_nsec);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = reader.port()?;
        reader.skip(4)?;
        Ok(PortStats {
            number,
            rx_packets: reader.u64()?,
            tx_packets: reader.u64()?,
            rx_bytes: reader.u64()?,
            tx_bytes: reader.u64()?,
            rx_dropped: reader.u64()?,
            tx_dropped: reader.u64()?,
            rx_errors: reader.u64()?,
            tx_errors: reader.u64()?,
            rx_frame_errors: reader.u64()?,
            rx_over_errors: reader.u64()?,
            rx_crc_errors: reader.u64()?,
            collisions: reader.u64()?,
            duration_sec: reader.u32()?,
            duration_nsec: reader.u32()?,
        })
    }
}

/// Counters of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// Its port.
    pub port: PortNo,
    /// Its number.
    pub queue: u32,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets dropped.
    pub tx_errors: u64,
    /// Seconds that it has been there.
    pub duration_sec: u32,
    /// And nanoseconds.
    pub duration_nsec: u32,
}

impl QueueStats {
    pub(super) fn encode(&self, buffer: &mut BytesMut) {
        buffer.put_u32(self.port.0);
        buffer.put_u32(self.queue);
        [self.tx_bytes, self.tx_packets, self.tx_errors]
            .into_iter()
            .for_each(|counter| buffer.put_u64(counter));
        buffer.put_u32(self.duration_sec);
        buffer.put_u32(self.duration_nsec);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(QueueStats {
            port: reader.port()?,
            queue: reader.u32()?,
            tx_bytes: reader.u64()?,
            tx_packets: reader.u64()?,
            tx_errors: reader.u64()?,
            duration_sec: reader.u32()?,
            duration_nsec: reader.u32()?,
        })
    }
}
