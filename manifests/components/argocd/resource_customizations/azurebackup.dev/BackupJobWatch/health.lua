-- A BackupJobWatch follows one Azure Backup job. Its status follows kstatus: observedGeneration, Ready, Reconciling and
-- Stalled, which https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus describes.
--   Progressing  the operator has not seen this generation yet, the job has not ended, or the watch is being deleted
--   Suspended    spec.suspend is true, and the job had not ended by then
--   Healthy      the job succeeded
--   Degraded     the job failed, or the watch did: no retry changes that
local hs = { status = "Progressing", message = "Waiting for the operator to see this watch" }

local conditions = {}
if obj.status ~= nil then
  for _, condition in ipairs(obj.status.conditions or {}) do
    conditions[condition.type] = condition
  end
end
local ready, stalled, finished = conditions["Ready"], conditions["Stalled"], conditions["Finished"]

local generation = obj.metadata.generation
if obj.metadata.deletionTimestamp ~= nil then
  local finalizers = obj.metadata.finalizers or {}
  hs.message = "Pending deletion"
  if #finalizers > 0 then
    hs.message = "Pending deletion; blocked by finalizers: " .. table.concat(finalizers, ", ")
  end
  -- Argo CD sets this finalizer on every hook and removes it once the hook has ended. Without a verdict the sync would
  -- wait for a deleted hook until it times out.
  local held_as_hook = #finalizers == 1 and finalizers[1] == "argocd.argoproj.io/hook-finalizer"
  if not held_as_hook or generation == nil or finished == nil or finished.status ~= "True" then
    return hs
  end
  -- A deletion increments the generation. If the watch had finished by then, its status is of the generation before. If a
  -- request to Azure was under way, the operator writes its result with the generation of the deletion.
  local observed, completed = obj.status.observedGeneration, obj.status.completionTime
  if observed ~= generation and completed ~= nil and completed <= obj.metadata.deletionTimestamp then
    generation = generation - 1
  end
end

-- The status of an earlier generation says nothing about this one.
if obj.status == nil or obj.status.observedGeneration == nil or obj.status.observedGeneration ~= generation then
  return hs
end

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
