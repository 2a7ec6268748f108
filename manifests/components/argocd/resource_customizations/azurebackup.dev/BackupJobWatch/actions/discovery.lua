-- Azure is not asked about a watch that is suspended or has finished.
local asked = obj.spec.suspend ~= true
if obj.status ~= nil and obj.status.observedGeneration == obj.metadata.generation then
  for _, condition in ipairs(obj.status.conditions or {}) do
    if condition.type == "Finished" and condition.status == "True" then
      asked = false
    end
  end
end

local actions = {}
actions["refresh"] = {["disabled"] = not asked}
return actions
