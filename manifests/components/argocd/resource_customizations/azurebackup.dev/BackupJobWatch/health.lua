-- A BackupJobWatch follows one Azure Backup job. Its status follows kstatus: observedGeneration, Ready, Reconciling and
-- Stalled, which https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus describes.
--   Progressing  the operator has not seen this generation yet, or the job has not ended
--   Suspended    spec.suspend is true, and the job had not ended by then
--   Healthy      the job succeeded
--   Degraded     the job failed, or the watch gave up: no retry changes that
local hs = { status = "Progressing", message = "Waiting for the operator to see this watch" }

if obj.metadata.deletionTimestamp ~= nil then
  hs.message = "Pending deletion"
  if obj.metadata.finalizers ~= nil and #obj.metadata.finalizers > 0 then
    hs.message = "Pending deletion; blocked by finalizers: " .. table.concat(obj.metadata.finalizers, ", ")
  end
  return hs
end

-- Whatever an older generation came to says nothing about this one.
if obj.status == nil or obj.status.observedGeneration == nil
    or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready, stalled = conditions["Ready"], conditions["Stalled"]

if stalled ~= nil and stalled.status == "True" then
  hs.status = "Degraded"
  hs.message = stalled.message
elseif ready ~= nil then
  if ready.status == "True" then
    hs.status = "Healthy"
  elseif ready.reason == "Suspended" then
    hs.status = "Suspended"
  end
  hs.message = ready.message
end
return hs
