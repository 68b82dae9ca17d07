//! What holds whatever a switch sends: shared by the fuzz targets and the replay of their corpora.

pub(crate) mod property;
