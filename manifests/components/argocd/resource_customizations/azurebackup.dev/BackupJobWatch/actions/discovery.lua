-- The operator does not poll a watch that is suspended, has finished or is being deleted.
local polled = obj.spec.suspend ~= true and obj.metadata.deletionTimestamp == nil
if obj.status ~= nil and obj.status.observedGeneration == obj.metadata.generation then
  for _, condition in ipairs(obj.status.conditions or {}) do
    if condition.type == "Finished" and condition.status == "True" then
      polled = false
    end
  end
end

local actions = {}
actions["refresh"] = {["disabled"] = not polled}
return actions
