//! What holds whatever a server sends: shared by the fuzz targets and the replay of their corpora.

pub(crate) mod property;
