//! Bundles, on a switch's side.

use rust_openflow::BundleControlType;

/// What a switch answers. `None`: no controller asks this.
pub(super) fn reply_to(kind: BundleControlType) -> Option<BundleControlType> {
    match kind {
        BundleControlType::OpenRequest => Some(BundleControlType::OpenReply),
        BundleControlType::CloseRequest => Some(BundleControlType::CloseReply),
        BundleControlType::CommitRequest => Some(BundleControlType::CommitReply),
        BundleControlType::DiscardRequest => Some(BundleControlType::DiscardReply),
        BundleControlType::OpenReply
        | BundleControlType::CloseReply
        | BundleControlType::CommitReply
        | BundleControlType::DiscardReply => None,
    }
}
