//! `sextant capture`: the frames that a port's guest sends and gets, as pcapng.

mod pcapng;

use super::named_port::port_named;
use crate::captures::{Capture, CapturedFrame};
use crate::control::{Give, OperatorView, RowTaker, Verb, VerbError};
use crate::snapshot::Snapshot;
use clap::Args;
use rust_openflow::PortNo;
use rust_openflow::multipart::FlowStatsRequest;
use serde::{Deserialize, Serialize};
use sextant_flows::Flows;
use sextant_model::{ChassisId, FrameDirection, PortId, Punt};
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

/// Options of `capture`.
#[derive(Clone, Debug, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureVerb {
    /// The port: its id, its name, one of its addresses, or its MAC.
    #[arg(value_name = "PORT")]
    pub port: String,
    /// The file to write. It must not exist. Default: standard output, as in sextant capture PORT | tcpdump -n -r -
    // Only who asks knows it: the file is written there.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// How many frames at most.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// For how many seconds at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub seconds: u16,
    /// How many octets of each frame.
    #[arg(long, value_name = "OCTETS", default_value_t = 262, value_parser = clap::value_parser!(u16).range(14..))]
    pub snaplen: u16,
}

/// A row of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum CaptureRow {
    /// It has begun: the port.
    Begun {
        /// Its id.
        port_id: PortId,
    },
    /// A frame.
    Frame {
        /// When it came by, in microseconds since 1970.
        at: u64,
        /// Whether the guest sent it.
        from_guest: bool,
        /// How many octets it has.
        length: usize,
        /// The first of them, in hexadecimal.
        octets: String,
    },
    /// None came by for a second.
    Silence,
    /// It has ended.
    Ended {
        /// How many frames there are.
        frames: u32,
        /// How many more passed.
        missed: u64,
    },
}

impl Verb for CaptureVerb {
    type Row = CaptureRow;

    fn answer(&self, known: &OperatorView, give: Give<'_, CaptureRow>) -> Result<(), VerbError> {
        let place = CapturedPlace::find(known, &self.port)?;
        let runtime = Handle::current();
        let begun = known.captures.begin(
            place.port,
            (place.chassis.clone(), PortNo(place.ofport.into())),
            known.events.clone(),
        );
        let begun = runtime.block_on(begun);
        let mut capture = begun.map_err(|error| VerbError::Unfit(error.to_string()))?;
        tracing::info!(port = %place.port, chassis = %place.chassis, "a port's frames are captured");
        let captured = self.capture(&mut capture, &place, known, give);
        runtime.block_on(capture.end());
        captured
    }

    /// It shows what guests say, which is for administrators of this machine alone.
    fn only_reads(&self) -> bool {
        false
    }

    fn lasts(&self) -> Option<Duration> {
        Some(self.duration())
    }

    fn taker(&self) -> Result<Option<RowTaker<CaptureRow>>, String> {
        if self.file.is_none() && io::stdout().is_terminal() {
            return Err("a capture is no text: give --file FILE, or a pipe, as in sextant capture PORT | tcpdump -n -r -".to_owned());
        }
        let mut written = WrittenCapture {
            file: self.file.clone(),
            out: None,
            snaplen: self.snaplen.into(),
        };
        Ok(Some(Box::new(move |row| {
            let taken = written.take(&row);
            taken.map_err(|error| format!("the capture cannot be written: {error}"))
        })))
    }

    fn show(&self, _rows: &[CaptureRow]) -> String {
        String::new()
    }
}

/// Where a port is.
struct CapturedPlace {
    port: PortId,
    chassis: ChassisId,
    ofport: u16,
}

impl CapturedPlace {
    fn find(known: &OperatorView, text: &str) -> Result<Self, VerbError> {
        let snapshot = known.snapshots.latest();
        let port = port_named(&snapshot, text)?.id;
        let binding = snapshot.facts.binding(port);
        let place = binding.and_then(|binding| Some((binding.chassis.clone(), binding.ofport?)));
        let (chassis, ofport) = place.ok_or_else(|| {
            VerbError::Unfit(format!(
                "port {port} is plugged in nowhere: sextant why {port}"
            ))
        })?;
        match known.counters.knows(&chassis) {
            true => Ok(Self {
                port,
                chassis,
                ofport,
            }),
            false => Err(VerbError::Unfit(not_here(&snapshot, &chassis))),
        }
    }
}

/// Why the switch of a hypervisor sends nothing here.
fn not_here(snapshot: &Snapshot, chassis: &ChassisId) -> String {
    let owner = snapshot.facts.owners().get(chassis);
    let owner = owner.map_or_else(String::new, |owner| {
        format!(": controller {} owns it, ask there", owner.controller)
    });
    format!("the switch of hypervisor {chassis} is not connected here{owner}")
}

impl CaptureVerb {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn capture(
        &self,
        capture: &mut Capture,
        place: &CapturedPlace,
        known: &OperatorView,
        give: Give<'_, CaptureRow>,
    ) -> Result<(), VerbError> {
        /// How long it may be silent: who has left is noticed only when something is sent.
        const SILENCE: Duration = Duration::from_secs(1);
        give(CaptureRow::Begun {
            port_id: place.port,
        })?;
        let (until, mut frames) = (Instant::now() + self.duration(), 0);
        while frames < self.count && Instant::now() < until {
            let pause = SILENCE.min(until.saturating_duration_since(Instant::now()));
            let next = async { timeout(pause, capture.next()).await };
            match Handle::current().block_on(next) {
                Ok(Some(frame)) => {
                    frames += 1;
                    give(self.row(&frame))?;
                }
                Ok(None) => break,
                Err(_) => give(CaptureRow::Silence)?,
            }
        }
        let missed = capture.lost().max(dropped(known, place, frames));
        give(CaptureRow::Ended { frames, missed })
    }

    fn row(&self, frame: &CapturedFrame) -> CaptureRow {
        let at = frame.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let octets = frame.octets.iter().take(self.snaplen.into());
        CaptureRow::Frame {
            at: u64::try_from(at.as_micros()).unwrap_or_default(),
            from_guest: frame.direction == FrameDirection::FromGuest,
            length: frame.octets.len(),
            octets: octets.map(|octet| format!("{octet:02x}")).collect(),
        }
    }
}

/// How many frames the switch let its meter drop: what its flows took, less what came up.
fn dropped(known: &OperatorView, place: &CapturedPlace, frames: u32) -> u64 {
    let snapshot = known.snapshots.latest();
    let flows = Flows::compute(&snapshot.intent, &snapshot.facts, &place.chassis);
    let of_port = flows.iter().filter(
        |(_, flow)| matches!(&flow.punt, Some(Punt::Captured(port, _)) if *port == place.port),
    );
    let took = of_port.map(|(cookie, flow)| {
        let this = FlowStatsRequest {
            cookie,
            cookie_mask: u64::MAX,
            ..FlowStatsRequest::table(flow.stage.table())
        };
        let counted = known.counters.ask(&place.chassis, this).unwrap_or_default();
        counted.iter().map(|flow| flow.packets).sum::<u64>()
    });
    took.sum::<u64>().saturating_sub(frames.into())
}

/// A capture on its way to a file or a pipe.
struct WrittenCapture {
    file: Option<PathBuf>,
    /// `None` until it has begun: a capture that is refused leaves no file.
    out: Option<Box<dyn Write>>,
    snaplen: u32,
}

impl WrittenCapture {
    fn take(&mut self, row: &CaptureRow) -> io::Result<()> {
        match row {
            CaptureRow::Begun { port_id } => {
                self.out = Some(self.open()?);
                self.put(&pcapng::head(&port_id.to_string(), self.snaplen))
            }
            CaptureRow::Frame {
                at,
                from_guest,
                length,
                octets,
            } => {
                let direction = match from_guest {
                    true => FrameDirection::FromGuest,
                    false => FrameDirection::ToGuest,
                };
                let octets = from_hexadecimal(octets)
                    .ok_or_else(|| io::Error::other("a frame is no hexadecimal number"))?;
                let length = u32::try_from(*length).unwrap_or(u32::MAX);
                self.put(&pcapng::frame(*at, direction, length, &octets))
            }
            CaptureRow::Silence => Ok(()),
            CaptureRow::Ended { frames, missed } => writeln!(
                io::stderr(),
                "{frames} frames were captured; {missed} more passed that were not"
            ),
        }
    }

    fn open(&self) -> io::Result<Box<dyn Write>> {
        Ok(match &self.file {
            Some(file) => {
                let mut options = OpenOptions::new();
                Box::new(options.write(true).create_new(true).open(file)?)
            }
            None => Box::new(io::stdout()),
        })
    }

    /// Whole blocks at a time, so that others can read along.
    fn put(&mut self, block: &[u8]) -> io::Result<()> {
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        out.write_all(block)?;
        out.flush()
    }
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let digits = digits?;
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect()
}
