// What Grafana's application tells its components: which settings a field has, and which transformations there are.

import {
  FieldConfigOptionsRegistry, displayNameOverrideProcessor, identityOverrideProcessor, standardTransformers,
  standardTransformersRegistry, thresholdsOverrideProcessor,
} from "@grafana/data";

const OWN = {
  displayName: displayNameOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
};
const STANDARD = ["color", "decimals", "displayName", "links", "mappings", "max", "min", "noValue", "thresholds", "unit"];

/// The settings that the dashboard's fields and overrides use.
export function settings(custom) {
  const setting = (path, isCustom) => ({
    id: isCustom ? `custom.${path}` : path,
    path,
    name: path,
    isCustom,
    process: OWN[path] ?? identityOverrideProcessor,
    shouldApply: () => true,
    getItemsCount: () => 0,
  });
  return new FieldConfigOptionsRegistry(() => [
    ...STANDARD.map((path) => setting(path, false)),
    ...custom.map((path) => setting(path, true)),
  ]);
}

export function register() {
  const { mergeTransformer, organizeFieldsTransformer } = standardTransformers;
  standardTransformersRegistry.setInit(() => [mergeTransformer, organizeFieldsTransformer].map((transformation) => ({
    id: transformation.id,
    name: transformation.name,
    transformation: () => Promise.resolve(transformation),
  })));
}
