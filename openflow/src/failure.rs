//! Error messages, by the names that Open vSwitch's log uses for them.
//!
//! The codes of OpenFlow 1.3.5, 7.4.4, and of Nicira's and the ONF's extensions are data (`include/openvswitch/ofp-errors.h`).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::fields::{NICIRA, ONF};
use crate::wire::Reader;

/// The type that says that an experimenter id follows.
const EXPERIMENTER: u16 = 0xffff;

/// The broad kind of an error (`OFPET_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Hello failed.
    HelloFailed,
    /// The request was not understood.
    BadRequest,
    /// An action is wrong.
    BadAction,
    /// An instruction is wrong.
    BadInstruction,
    /// A match is wrong.
    BadMatch,
    /// A flow-mod could not be done.
    FlowModFailed,
    /// A group-mod could not be done.
    GroupModFailed,
    /// A port-mod could not be done.
    PortModFailed,
    /// A table-mod could not be done.
    TableModFailed,
    /// A queue request could not be done.
    QueueOpFailed,
    /// A configuration could not be set.
    SwitchConfigFailed,
    /// A role could not be taken.
    RoleRequestFailed,
    /// A meter-mod could not be done.
    MeterModFailed,
    /// Table features could not be set.
    TableFeaturesFailed,
    /// An experimenter's error.
    Experimenter,
    /// A kind of a later standard.
    Other(u16),
}

/// What exactly is wrong.
///
/// `Display` prints the specification's name, such as `OFPBMC_BAD_PREREQ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A type and code of the standard.
    Standard {
        /// `OFPET_*`
        kind: u16,
        /// The code within the type.
        code: u16,
    },
    /// An experimenter's error.
    Experimenter {
        /// Whose.
        experimenter: u32,
        /// Which.
        kind: u16,
    },
}

impl ErrorCode {
    /// `OFPBRC_BAD_VERSION`
    pub const BAD_VERSION: ErrorCode = ErrorCode::Standard { kind: 1, code: 0 };
    /// `OFPBRC_BAD_TYPE`
    pub const BAD_TYPE: ErrorCode = ErrorCode::Standard { kind: 1, code: 1 };
    /// `OFPBRC_BAD_LEN`
    pub const BAD_LENGTH: ErrorCode = ErrorCode::Standard { kind: 1, code: 6 };
    /// `OFPBMC_BAD_PREREQ`
    pub const BAD_PREREQUISITE: ErrorCode = ErrorCode::Standard { kind: 4, code: 9 };
    /// `OFPBMC_DUP_FIELD`
    pub const DUPLICATE_FIELD: ErrorCode = ErrorCode::Standard { kind: 4, code: 10 };
    /// `OFPBAC_BAD_LEN`
    pub const BAD_ACTION_LENGTH: ErrorCode = ErrorCode::Standard { kind: 2, code: 1 };
    /// `OFPBAC_TOO_MANY`
    pub const TOO_MANY_ACTIONS: ErrorCode = ErrorCode::Standard { kind: 2, code: 7 };
    /// `OFPBIC_BAD_LEN`
    pub const BAD_INSTRUCTION_LENGTH: ErrorCode = ErrorCode::Standard { kind: 3, code: 7 };
    /// `OFPBMC_BAD_TYPE`
    pub const BAD_MATCH_TYPE: ErrorCode = ErrorCode::Standard { kind: 4, code: 0 };
    /// `OFPBMC_BAD_LEN`
    pub const BAD_MATCH_LENGTH: ErrorCode = ErrorCode::Standard { kind: 4, code: 1 };
    /// `OFPFMFC_BAD_COMMAND`
    pub const BAD_FLOW_COMMAND: ErrorCode = ErrorCode::Standard { kind: 5, code: 6 };
    /// `OFPGMFC_BAD_TYPE`
    pub const BAD_GROUP_TYPE: ErrorCode = ErrorCode::Standard { kind: 6, code: 10 };
    /// `OFPGMFC_BAD_COMMAND`
    pub const BAD_GROUP_COMMAND: ErrorCode = ErrorCode::Standard { kind: 6, code: 11 };
    /// `OFPGMFC_BAD_BUCKET`
    pub const BAD_BUCKET: ErrorCode = ErrorCode::Standard { kind: 6, code: 12 };
    /// `OFPBRC_IS_SLAVE`
    pub const IS_SECONDARY: ErrorCode = ErrorCode::Standard { kind: 1, code: 10 };
    /// `OFPRRFC_STALE`
    pub const STALE_ROLE: ErrorCode = ErrorCode::Standard { kind: 11, code: 0 };
    /// `OFPRRFC_BAD_ROLE`
    pub const BAD_ROLE: ErrorCode = ErrorCode::Standard { kind: 11, code: 2 };
    /// `OFPMMFC_BAD_COMMAND`
    pub const BAD_METER_COMMAND: ErrorCode = ErrorCode::Standard { kind: 12, code: 4 };
    /// `OFPTFFC_BAD_LEN`, which Open vSwitch calls by its later name.
    pub const BAD_TABLE_FEATURES_LENGTH: ErrorCode = ErrorCode::Standard { kind: 13, code: 3 };
    /// `OFPBFC_BAD_TYPE`
    pub const BAD_BUNDLE_TYPE: ErrorCode = ErrorCode::Experimenter {
        experimenter: ONF,
        kind: 2306,
    };
    /// `OFPHFC_INCOMPATIBLE`
    pub const HELLO_INCOMPATIBLE: ErrorCode = ErrorCode::Standard { kind: 0, code: 0 };
    /// `OFPMMFC_METER_EXISTS`
    pub const METER_EXISTS: ErrorCode = ErrorCode::Standard { kind: 12, code: 1 };
    /// `OFPGMFC_GROUP_EXISTS`
    pub const GROUP_EXISTS: ErrorCode = ErrorCode::Standard { kind: 6, code: 0 };

    /// The broad kind.
    pub fn error_type(self) -> ErrorType {
        match self {
            ErrorCode::Experimenter { .. } => ErrorType::Experimenter,
            ErrorCode::Standard { kind, .. } => TYPES
                .get(usize::from(kind))
                .copied()
                .unwrap_or(ErrorType::Other(kind)),
        }
    }

    /// The specification's name, for codes that have one.
    pub fn name(self) -> Option<&'static str> {
        match self {
            ErrorCode::Standard { kind, code } => STANDARD
                .iter()
                .find(|row| (row.0, row.1) == (kind, code))
                .map(|row| row.2),
            ErrorCode::Experimenter {
                experimenter: NICIRA,
                kind,
            } => lookup(NICIRA_ERRORS, kind),
            ErrorCode::Experimenter {
                experimenter: ONF,
                kind,
            } => lookup(ONF_ERRORS, kind),
            ErrorCode::Experimenter { .. } => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, ErrorCode::Standard { kind, code }) => write!(f, "type {kind} code {code}"),
            (None, ErrorCode::Experimenter { experimenter, kind }) => {
                write!(f, "experimenter {experimenter:#010x} type {kind}")
            }
        }
    }
}

/// What a peer says about a message that it could not accept (`ofp_error_msg`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorMessage {
    /// What is wrong.
    pub code: ErrorCode,
    /// The message, at least its first 64 bytes; for a failed hello, text.
    pub data: Bytes,
}

impl fmt::Display for ErrorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)
    }
}

impl ErrorMessage {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        match self.code {
            ErrorCode::Standard { kind, code } => {
                buffer.put_u16(kind);
                buffer.put_u16(code);
            }
            ErrorCode::Experimenter { experimenter, kind } => {
                buffer.put_u16(EXPERIMENTER);
                buffer.put_u16(kind);
                buffer.put_u32(experimenter);
            }
        }
        buffer.put_slice(&self.data);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (kind, code) = (reader.u16()?, reader.u16()?);
        let code = if kind == EXPERIMENTER {
            ErrorCode::Experimenter {
                experimenter: reader.u32()?,
                kind: code,
            }
        } else {
            ErrorCode::Standard { kind, code }
        };
        Ok(ErrorMessage {
            code,
            data: reader.remainder(),
        })
    }
}

fn lookup(rows: &'static [(u16, &'static str)], kind: u16) -> Option<&'static str> {
    rows.iter().find(|row| row.0 == kind).map(|row| row.1)
}

const TYPES: &[ErrorType] = &[
    ErrorType::HelloFailed,
    ErrorType::BadRequest,
    ErrorType::BadAction,
    ErrorType::BadInstruction,
    ErrorType::BadMatch,
    ErrorType::FlowModFailed,
    ErrorType::GroupModFailed,
    ErrorType::PortModFailed,
    ErrorType::TableModFailed,
    ErrorType::QueueOpFailed,
    ErrorType::SwitchConfigFailed,
    ErrorType::RoleRequestFailed,
    ErrorType::MeterModFailed,
    ErrorType::TableFeaturesFailed,
];

/// Type, code, name.
const STANDARD: &[(u16, u16, &str)] = &[
    (0, 0, "OFPHFC_INCOMPATIBLE"),
    (0, 1, "OFPHFC_EPERM"),
    (1, 0, "OFPBRC_BAD_VERSION"),
    (1, 1, "OFPBRC_BAD_TYPE"),
    (1, 2, "OFPBRC_BAD_STAT"),
    (1, 3, "OFPBRC_BAD_VENDOR"),
    (1, 4, "OFPBRC_BAD_SUBTYPE"),
    (1, 5, "OFPBRC_EPERM"),
    (1, 6, "OFPBRC_BAD_LEN"),
    (1, 7, "OFPBRC_BUFFER_EMPTY"),
    (1, 8, "OFPBRC_BUFFER_UNKNOWN"),
    (1, 9, "OFPBRC_BAD_TABLE_ID"),
    (1, 10, "OFPBRC_IS_SECONDARY"),
    (1, 11, "OFPBRC_BAD_PORT"),
    (1, 12, "OFPBRC_BAD_PACKET"),
    (1, 13, "OFPBRC_MULTIPART_BUFFER_OVERFLOW"),
    (2, 0, "OFPBAC_BAD_TYPE"),
    (2, 1, "OFPBAC_BAD_LEN"),
    (2, 2, "OFPBAC_BAD_VENDOR"),
    (2, 3, "OFPBAC_BAD_VENDOR_TYPE"),
    (2, 4, "OFPBAC_BAD_OUT_PORT"),
    (2, 5, "OFPBAC_BAD_ARGUMENT"),
    (2, 6, "OFPBAC_EPERM"),
    (2, 7, "OFPBAC_TOO_MANY"),
    (2, 8, "OFPBAC_BAD_QUEUE"),
    (2, 9, "OFPBAC_BAD_OUT_GROUP"),
    (2, 10, "OFPBAC_MATCH_INCONSISTENT"),
    (2, 11, "OFPBAC_UNSUPPORTED_ORDER"),
    (2, 12, "OFPBAC_BAD_TAG"),
    (2, 13, "OFPBAC_BAD_SET_TYPE"),
    (2, 14, "OFPBAC_BAD_SET_LEN"),
    (2, 15, "OFPBAC_BAD_SET_ARGUMENT"),
    (3, 0, "OFPBIC_UNKNOWN_INST"),
    (3, 1, "OFPBIC_UNSUP_INST"),
    (3, 2, "OFPBIC_BAD_TABLE_ID"),
    (3, 3, "OFPBIC_UNSUP_METADATA"),
    (3, 4, "OFPBIC_UNSUP_METADATA_MASK"),
    (3, 5, "OFPBIC_BAD_EXPERIMENTER"),
    (3, 6, "OFPBIC_BAD_EXP_TYPE"),
    (3, 7, "OFPBIC_BAD_LEN"),
    (3, 8, "OFPBIC_EPERM"),
    (4, 0, "OFPBMC_BAD_TYPE"),
    (4, 1, "OFPBMC_BAD_LEN"),
    (4, 2, "OFPBMC_BAD_TAG"),
    (4, 3, "OFPBMC_BAD_DL_ADDR_MASK"),
    (4, 4, "OFPBMC_BAD_NW_ADDR_MASK"),
    (4, 5, "OFPBMC_BAD_WILDCARDS"),
    (4, 6, "OFPBMC_BAD_FIELD"),
    (4, 7, "OFPBMC_BAD_VALUE"),
    (4, 8, "OFPBMC_BAD_MASK"),
    (4, 9, "OFPBMC_BAD_PREREQ"),
    (4, 10, "OFPBMC_DUP_FIELD"),
    (4, 11, "OFPBMC_EPERM"),
    (5, 0, "OFPFMFC_UNKNOWN"),
    (5, 1, "OFPFMFC_TABLE_FULL"),
    (5, 2, "OFPFMFC_BAD_TABLE_ID"),
    (5, 3, "OFPFMFC_OVERLAP"),
    (5, 4, "OFPFMFC_EPERM"),
    (5, 5, "OFPFMFC_BAD_TIMEOUT"),
    (5, 6, "OFPFMFC_BAD_COMMAND"),
    (5, 7, "OFPFMFC_BAD_FLAGS"),
    (6, 0, "OFPGMFC_GROUP_EXISTS"),
    (6, 1, "OFPGMFC_INVALID_GROUP"),
    (6, 2, "OFPGMFC_WEIGHT_UNSUPPORTED"),
    (6, 3, "OFPGMFC_OUT_OF_GROUPS"),
    (6, 4, "OFPGMFC_OUT_OF_BUCKETS"),
    (6, 5, "OFPGMFC_CHAINING_UNSUPPORTED"),
    (6, 6, "OFPGMFC_WATCH_UNSUPPORTED"),
    (6, 7, "OFPGMFC_LOOP"),
    (6, 8, "OFPGMFC_UNKNOWN_GROUP"),
    (6, 9, "OFPGMFC_CHAINED_GROUP"),
    (6, 10, "OFPGMFC_BAD_TYPE"),
    (6, 11, "OFPGMFC_BAD_COMMAND"),
    (6, 12, "OFPGMFC_BAD_BUCKET"),
    (6, 13, "OFPGMFC_BAD_WATCH"),
    (6, 14, "OFPGMFC_EPERM"),
    (7, 0, "OFPPMFC_BAD_PORT"),
    (7, 1, "OFPPMFC_BAD_HW_ADDR"),
    (7, 2, "OFPPMFC_BAD_CONFIG"),
    (7, 3, "OFPPMFC_BAD_ADVERTISE"),
    (7, 4, "OFPPMFC_EPERM"),
    (8, 0, "OFPTMFC_BAD_TABLE"),
    (8, 1, "OFPTMFC_BAD_CONFIG"),
    (8, 2, "OFPTMFC_EPERM"),
    (9, 0, "OFPQOFC_BAD_PORT"),
    (9, 1, "OFPQOFC_BAD_QUEUE"),
    (9, 2, "OFPQOFC_EPERM"),
    (10, 0, "OFPSCFC_BAD_FLAGS"),
    (10, 1, "OFPSCFC_BAD_LEN"),
    (10, 2, "OFPSCFC_EPERM"),
    (11, 0, "OFPRRFC_STALE"),
    (11, 1, "OFPRRFC_UNSUP"),
    (11, 2, "OFPRRFC_BAD_ROLE"),
    (12, 0, "OFPMMFC_UNKNOWN"),
    (12, 1, "OFPMMFC_METER_EXISTS"),
    (12, 2, "OFPMMFC_INVALID_METER"),
    (12, 3, "OFPMMFC_UNKNOWN_METER"),
    (12, 4, "OFPMMFC_BAD_COMMAND"),
    (12, 5, "OFPMMFC_BAD_FLAGS"),
    (12, 6, "OFPMMFC_BAD_RATE"),
    (12, 7, "OFPMMFC_BAD_BURST"),
    (12, 8, "OFPMMFC_BAD_BAND"),
    (12, 9, "OFPMMFC_BAD_BAND_VALUE"),
    (12, 10, "OFPMMFC_OUT_OF_METERS"),
    (12, 11, "OFPMMFC_OUT_OF_BANDS"),
    (13, 0, "OFPTFFC_BAD_TABLE"),
    (13, 1, "OFPTFFC_BAD_METADATA"),
    (13, 2, "OFPBPC_BAD_TYPE"),
    (13, 3, "OFPBPC_BAD_LEN"),
    (13, 4, "OFPBPC_BAD_VALUE"),
    (13, 5, "OFPTFFC_EPERM"),
];

const NICIRA_ERRORS: &[(u16, &str)] = &[
    (2, "NXBRC_NXM_INVALID"),
    (3, "NXBRC_NXM_BAD_TYPE"),
    (4, "NXBRC_MUST_BE_ZERO"),
    (5, "NXBRC_BAD_REASON"),
    (6, "OFPMOFC_MONITOR_EXISTS"),
    (7, "OFPMOFC_BAD_FLAGS"),
    (8, "OFPMOFC_UNKNOWN_MONITOR"),
    (9, "NXBRC_FM_BAD_EVENT"),
    (10, "NXBRC_UNENCODABLE_ERROR"),
    (11, "NXBAC_MUST_BE_ZERO"),
    (12, "NXFMFC_HARDWARE"),
    (13, "NXFMFC_BAD_TABLE_ID"),
    (15, "NXBAC_BAD_CONJUNCTION"),
    (16, "NXTTMFC_BAD_COMMAND"),
    (17, "NXTTMFC_BAD_OPT_LEN"),
    (18, "NXTTMFC_BAD_FIELD_IDX"),
    (19, "NXTTMFC_TABLE_FULL"),
    (20, "NXTTMFC_ALREADY_MAPPED"),
    (21, "NXTTMFC_DUP_ENTRY"),
    (34, "NXR_NOT_SUPPORTED"),
    (35, "NXR_STALE"),
    (36, "NXST_NOT_CONFIGURED"),
    (37, "NXFMFC_INVALID_TLV_FIELD"),
    (38, "NXTTMFC_INVALID_TLV_DEL"),
    (39, "NXBAC_BAD_HEADER_TYPE"),
    (40, "NXBAC_UNKNOWN_ED_PROP"),
    (41, "NXBAC_BAD_ED_PROP"),
    (42, "NXBAC_CT_DATAPATH_SUPPORT"),
    (43, "NXBMC_CT_DATAPATH_SUPPORT"),
    (44, "NXTFFC_DUP_TABLE"),
];

const ONF_ERRORS: &[(u16, &str)] = &[
    (2300, "OFPBFC_UNKNOWN"),
    (2301, "OFPBFC_EPERM"),
    (2302, "OFPBFC_BAD_ID"),
    (2303, "OFPBFC_BUNDLE_EXIST"),
    (2304, "OFPBFC_BUNDLE_CLOSED"),
    (2305, "OFPBFC_OUT_OF_BUNDLES"),
    (2306, "OFPBFC_BAD_TYPE"),
    (2307, "OFPBFC_BAD_FLAGS"),
    (2308, "OFPBFC_MSG_BAD_LEN"),
    (2309, "OFPBFC_MSG_BAD_XID"),
    (2310, "OFPBFC_MSG_UNSUP"),
    (2311, "OFPBFC_MSG_CONFLICT"),
    (2312, "OFPBFC_MSG_TOO_MANY"),
    (2313, "OFPBFC_MSG_FAILED"),
    (2314, "OFPBFC_TIMEOUT"),
    (2315, "OFPBFC_BUNDLE_IN_PROGRESS"),
    (2360, "OFPFMFC_BAD_PRIORITY"),
    (2370, "OFPACFC_INVALID"),
    (2371, "OFPACFC_UNSUPPORTED"),
    (2372, "OFPACFC_EPERM"),
    (2600, "OFPBIC_DUP_INST"),
    (2640, "OFPBRC_MULTIPART_REQUEST_TIMEOUT"),
    (2641, "OFPBRC_MULTIPART_REPLY_TIMEOUT"),
    (4250, "OFPBAC_BAD_SET_MASK"),
    (4443, "OFPBPC_TOO_MANY"),
    (4444, "OFPBPC_DUP_TYPE"),
    (4445, "OFPBPC_BAD_EXPERIMENTER"),
    (4446, "OFPBPC_BAD_EXP_TYPE"),
    (4447, "OFPBPC_BAD_EXP_VALUE"),
    (4448, "OFPBPC_EPERM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_specification() {
        assert_eq!(ErrorCode::BAD_PREREQUISITE.to_string(), "OFPBMC_BAD_PREREQ");
        assert_eq!(
            ErrorCode::BAD_PREREQUISITE.error_type(),
            ErrorType::BadMatch
        );
        let bundle = ErrorCode::Experimenter {
            experimenter: ONF,
            kind: 2313,
        };
        assert_eq!(bundle.to_string(), "OFPBFC_MSG_FAILED");
        assert_eq!(
            ErrorCode::Standard { kind: 99, code: 1 }.to_string(),
            "type 99 code 1"
        );
    }
}
